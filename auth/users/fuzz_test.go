package users

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzAnswered: an answer about a user is read as it stands or refused, without
// a value of it in the error.
func FuzzAnswered(f *testing.F) {
	for _, text := range []string{
		`{"id":"u1"}`, `{"id":12345678901234567890,"claims":{"n":1.50,"l":[1,{"a":null}]}}`, `{"id":"u1","email":"hunter2@example.com","disabled":true}`, `{}`, `{"id":null}`, `{"id":1.5}`, `{"id":""}`,
		`{"id":"u1","ID":"u2"}`, `{"id":"u1","id":"u2"}`, `{"id":"u1","password":"hunter2"}`, `{"id":"u1"}{}`, `[]`, `{"id":"u1","claims":{"a":1,"a":2}}`, `{"id":"u1","disabled":"hunter2"}`, `{"id":-0}`, `{"hunter2":1}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := answered(text)
		if err != nil {
			told, _, _ := strings.Cut(err.Error(), "alone, unlike ") // the name of a member may be told
			if strings.Contains(told, "hunter2") {
				t.Fatalf("the error tells what was answered: %v", err)
			}
			return
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatalf("%q is read, and is no JSON object", text)
		}
		id := ""
		if json.Unmarshal(all["id"], &id) != nil {
			id = string(all["id"])
		}
		if r.ID != id {
			t.Fatalf("%q: the id is read as %q", text, r.ID)
		}
		for name, value := range r.Claims {
			if !json.Valid(value) {
				t.Fatalf("claim %q is %s", name, value)
			}
		}
	})
}
