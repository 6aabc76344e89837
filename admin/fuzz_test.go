package admin

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzBody: a body is one JSON object of known members, each once, or a problem
// that tells no value.
func FuzzBody(f *testing.F) {
	for _, text := range []string{
		`{"kind":"sid","id":"a"}`, `{"kind":"sid","id":"a","id":"b"}`, `{"Kind":"sid"}`, `{"kind":1}`, `{"kind":"hunter2","more":"hunter2"}`, `{"kind":"a"} {}`, `[]`, `null`, `"hunter2"`, `{"kind":"\ud800"}`, "{\"kind\":\"\xff\"}", `{`, ``, "{\"0hunter2\"",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var body struct {
			Kind string `json:"kind"`
			ID   string `json:"id"`
		}
		err := readBody(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader(text)), &body)
		if err != nil {
			var p *problem
			told, _, _ := strings.Cut(err.Error(), "unknown member: ") // whose name may be told
			if !errors.As(err, &p) || strings.Contains(told, "hunter2") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		var loose map[string]any
		if err := json.Unmarshal([]byte(text), &loose); err != nil {
			t.Fatalf("%q is read, and is no JSON object: %v", text, err)
		}
		for name, value := range loose {
			if name != "kind" && name != "id" || value != nil && value != map[string]string{"kind": body.Kind, "id": body.ID}[name] {
				t.Fatalf("%q is read as %+v", text, body)
			}
		}
	})
}
