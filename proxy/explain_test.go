package proxy

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestExplain(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		orders := route("orders", "/orders/", auth.Both)
		orders.StripPrefix = "/orders"
		s.routes = []*Route{
			orders, route("all", "/", auth.None), route("admin", "admin.example/orders/", auth.Both),
			route("delete", "DELETE /orders/{id}", auth.Both), route("both", "DELETE admin.example/orders/{id}", auth.Both), route("users", "/users/", auth.Both),
		}
	})
	r := httptest.NewRequest("GET", "/orders/%37?x", nil)
	r.Host, r.RemoteAddr = "gw.example", ""
	r.Header.Set("Api-Key", apiKey)
	r.Header.Set("Authorization", "Bearer "+token(nil))
	r.Header.Set("X-User-Id", "mallory")
	r.Header.Set("Accept", "*/*")
	e := g.state.Explain(r, time.Now())
	if !e.Allowed || e.Reason != auth.OK || e.Status != 0 || e.Route != "orders" || e.Path != "/orders/7" || e.Forwarded != "/7" ||
		e.Subject != "alice" || e.APIKeyID != "web" || !e.RenewalDue || len(e.Upstreams) != 1 || len(e.Steps) == 0 {
		t.Errorf("%+v", e)
	}
	if !slices.Equal(e.Removed, []string{"Api-Key", "Authorization", "X-User-Id"}) {
		t.Errorf("removed %q", e.Removed)
	}
	added := map[string]string{}
	for _, h := range e.Added {
		added[h.Name] = h.Value
	}
	if added["X-User-Id"] != "alice" || added["X-Client-Id"] != "web" || added["X-Forwarded-Host"] != "gw.example" || added["Accept"] != "" {
		t.Errorf("added %v", added)
	}
	var why []string
	for _, m := range e.NearMisses {
		why = append(why, m.Route+": "+m.Why)
	}
	want := []string{
		"all: the route that was chosen is more specific", "admin: the host is not admin.example", "delete: the method is not DELETE",
		"both: method and host are not DELETE admin.example",
	}
	if !slices.Equal(why, want) {
		t.Errorf("near misses %q", why)
	}
	if all := string(must(json.Marshal(e))); strings.Contains(all, apiKey) || strings.Contains(all, token(nil)) || strings.Contains(all, "mallory") {
		t.Errorf("a secret is told: %s", all)
	}
	if len(g.counts.decisions) != 0 || g.last() != nil {
		t.Error("explaining was counted or forwarded")
	}
}

func TestExplainDenials(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("orders", "POST /orders/", auth.BearerOnly)}
		s.routes[0].MaxBodyBytes = 3
	})
	for _, c := range []struct {
		method, target, body, bearer string
		status                       int
		reason                       auth.Reason
		misses                       int
	}{
		{"GET", "/orders//", "", "", 400, auth.RequestMalformed, 0},
		{"GET", "/orders/", "", "", 405, auth.MethodNotAllowed, 1},
		{"TRACE", "/orders/", "", "", 405, auth.MethodNotAllowed, 0},
		{"GET", "/x", "", "", 404, auth.RouteNotFound, 0},
		{"POST", "/orders/", "", "", 401, auth.TokenMissing, 0},
		{"POST", "/orders/", "", "x", 401, auth.TokenMalformed, 0},
		{"POST", "/orders/", "four", token(nil), 413, auth.RequestTooLarge, 0},
	} {
		r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
		if c.bearer != "" {
			r.Header.Set("Authorization", "Bearer "+c.bearer)
		}
		if e := g.state.Explain(r, time.Now()); e.Allowed || e.Status != c.status || e.Reason != c.reason || len(e.NearMisses) != c.misses || len(e.Added) > 0 {
			t.Errorf("%s %s: %+v", c.method, c.target, e)
		}
	}
}
