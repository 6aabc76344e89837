package contract

import (
	"bufio"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

// What explain says of a request is what the request meets, and the upstream
// is sent what explain says.
func TestExplainAgrees(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	w.revoke(t, `{"kind":"api_key","id":"lost"}`)
	w.revoke(t, `{"kind":"sid","id":"ended"}`)
	w.eventually(t, rig.Get("/key/", "Api-Key: "+lostKey), 401)
	w.eventually(t, rig.Get("/bearer/", bearer(token(t, map[string]any{"sid": "ended"}))), 401)
	w.up.Take()
	good := bearer(token(t, map[string]any{"scope": "orders:read orders:write", "roles": []string{"staff"}}))
	rows := slices.Concat(keyRows(t), tokenRows(t))
	for _, path := range []string{"/open/", "/orders/", "/scoped/", "/ruled/", "/keep/", "/any/", "/key/", "/bearer/", "/nothing", "/open//", "/open/%2e%2e/", "/posted/", "/open", "/open/?" + strings.Repeat("a", 9000)} {
		rows = append(rows, row{name: path[:min(len(path), 20)], raw: rig.Get(path, keyLine, good, "X-User-Id: root", "X-Forwarded-For: 192.0.2.1", "Via: 1.1 x")})
	}
	rows = append(rows, row{name: "header name", raw: rig.Get("/open/", "X_User_Id: root")}, row{name: "method", raw: rig.Request("PROPFIND", "/open/", "")})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			e := w.explain(t, row.raw)
			a := w.Send(t, row.raw)
			line, _ := w.Log.Access(t, a)
			if e.Allowed != (a.Status == 200) || !e.Allowed && e.Status != a.Status || e.Reason != line["reason"] || e.Route != line["route"] {
				t.Errorf("explained as %+v, answered %d %s", e, a.Status, a.Body)
			}
			seen := w.up.Take()
			if len(seen) == 0 {
				return
			}
			for _, added := range e.Added {
				if got := seen[0].Header.Get(added.Name); got != added.Value && added.Name != "X-Request-Id" {
					t.Errorf("%s is %q, explained as %q", added.Name, got, added.Value)
				}
			}
			for _, name := range e.Removed {
				if got := seen[0].Header.Get(name); got == "root" || got == "192.0.2.1" {
					t.Errorf("%s was not removed", name)
				}
			}
		})
	}
}

// explanation is what is compared of an explanation.
type explanation struct {
	Allowed bool
	Status  int
	Reason  string
	Route   string
	Removed []string
	Added   []struct{ Name, Value string }
}

func (w *world) explain(t *testing.T, raw string) explanation {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	type header struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	var headers []header
	for name, values := range r.Header {
		for _, value := range values {
			headers = append(headers, header{name, value})
		}
	}
	body, err := json.Marshal(map[string]any{"method": r.Method, "target": r.RequestURI, "host": r.Host, "headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	a := w.AdminCall(t, "POST", "/v1/explain", string(body))
	var e explanation
	if err := json.Unmarshal([]byte(a.Body), &e); err != nil || a.Status != 200 {
		t.Fatalf("explain: %d %s", a.Status, a.Body)
	}
	if strings.Contains(a.Body, apiKey) || strings.Contains(a.Body, secret) {
		t.Errorf("the explanation shows a secret: %s", a.Body)
	}
	return e
}
