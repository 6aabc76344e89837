package contract

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

// What the upstream sees of credentials and identity, on each kind of route.
func TestCredentialsAndIdentityUpstream(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	tok := bearer(token(t, map[string]any{"scope": "orders:read orders:write", "roles": []string{"staff"}}))
	for path, want := range map[string]map[string]string{
		"/open/":   {},
		"/plain/":  {"X-User-Id": "alice", "X-Client-Id": "web"},
		"/orders/": {"X-User-Id": "alice", "X-Client-Id": "web"},
		"/scoped/": {"X-User-Id": "alice", "X-Client-Id": "web"},
		"/ruled/":  {"X-User-Id": "alice", "X-Client-Id": "web"},
		"/bearer/": {"X-User-Id": "alice"},
		"/key/":    {"X-Client-Id": "web"},
		"/any/":    {"X-User-Id": "alice", "X-Client-Id": "web"},
		"/keep/":   {"X-User-Id": "alice", "X-App": "web", "Authorization": strings.TrimPrefix(tok, "Authorization: ")},
	} {
		a := w.Send(t, rig.Get(path, keyLine, tok, "X-User-Id: root", "X-Client-Id: root", "X-App: root", "X-A--PP: root", "Cookie: a=b", "X-Other: kept"))
		if a.Status != 200 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
			continue
		}
		got := w.up.Last(t).Header
		for _, name := range []string{"X-User-Id", "X-Client-Id", "X-App", "Authorization", "Api-Key"} {
			if values := got.Values(name); len(values) > 1 || got.Get(name) != want[name] {
				t.Errorf("%s: %s is %q, want %q", path, name, values, want[name])
			}
		}
		for name, values := range got {
			if slices.Contains(values, "root") {
				t.Errorf("%s: %s is the client's", path, name)
			}
		}
		if got.Get("Cookie") != "a=b" || got.Get("X-Other") != "kept" {
			t.Errorf("%s: what is none of our business was changed: %v", path, got)
		}
	}
}

// One credential where one is enough: the other is removed, and names nobody.
func TestCredentialThatIsNotLookedAt(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	for path, lines := range map[string][]string{
		"/key/": {keyLine, bearer("no.token.atall")}, "/bearer/": {"Api-Key: wrong", bearer(token(t, nil))}, "/open/": {"Api-Key: wrong", bearer("x")},
	} {
		if a := w.Send(t, rig.Get(path, lines...)); a.Status != 200 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		if got := w.up.Last(t).Header; got.Get("Authorization") != "" || got.Get("Api-Key") != "" {
			t.Errorf("%s: the upstream got %v", path, got)
		}
	}
}

func TestForwardingHeaders(t *testing.T) {
	t.Parallel()
	sent := []string{
		"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: public.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 8443", "X-Real-IP: 203.0.113.7",
		"Forwarded: for=203.0.113.7",
	}
	for trusted, want := range map[string]map[string]string{
		"[]": {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "gw.example", "X-Forwarded-Proto": "http"},
		"[127.0.0.0/8]": {
			"X-Forwarded-For": "203.0.113.7, 127.0.0.1", "X-Forwarded-Host": "public.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443",
			"X-Real-Ip": "203.0.113.7", "Forwarded": "for=203.0.113.7",
		},
	} {
		w := start(t, "memory:", func(c *rig.Config) {
			c.YAML = strings.Replace(c.YAML, "drain_timeout: 5s", "drain_timeout: 5s, trusted_proxies: "+trusted, 1)
		})
		w.Send(t, rig.Get("/open/", sent...))
		got := map[string]string{}
		for name, values := range w.up.Last(t).Header {
			if strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip" || name == "Forwarded" {
				got[name] = strings.Join(values, "|")
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("trusting %s the upstream got\n%v, want\n%v", trusted, got, want)
		}
		w.Send(t, rig.Get("/open/"))
		if h := w.up.Last(t).Header; h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Host") != "gw.example" || h.Get("X-Forwarded-Proto") != "http" {
			t.Errorf("trusting %s, nothing sent: %v", trusted, h)
		}
	}
}

func TestTargetAndBodyByteForByte(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	for _, query := range []string{"", "?", "?a=1;b=2&c=%zz&&=", "?%2e%2E=+%20", "?" + strings.Repeat("a=b&", 2000), "?q={}|\"<>^`"} {
		a := w.Send(t, rig.Request("PUT", "/open/a%20b/%C3%A9"+query, "body\x00\xff\r\n", "Content-Type: application/x-www-form-urlencoded", "Accept-Encoding: identity"))
		r := w.up.Last(t)
		if a.Status != 200 || r.RequestURI != "/open/a%20b/%C3%A9"+query || r.Method != "PUT" || r.Body != "body\x00\xff\r\n" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%.40q: %d, received %s %.60q %q", query, a.Status, r.Method, r.RequestURI, r.Body)
		}
	}
	for target, want := range map[string]string{"/%6Fpen/%7e%41": "/open/~A", "/open/%c3%a9": "/open/%C3%A9", "/open/a%2cb": "/open/a%2Cb", "/open": "/open"} {
		w.Send(t, rig.Get(target))
		if got := w.up.Last(t).RequestURI; got != want {
			t.Errorf("%s was forwarded as %s, want %s", target, got, want)
		}
	}
}

func TestClaimsToHeaders(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) {
		c.YAML += `  - name: claims
    match: /claims/
    auth: bearer
    forward:
      claims:
        - {claim: sub, header: X-User-Id}
        - {claim: realm.roles, header: X-Roles, format: csv}
        - {claim: address, header: X-Address, format: json}
        - {claim: level, header: X-Level}
        - {claim: active, header: X-Active}
        - {claim: "https://example.com/org", header: X-Org}
        - {claim: address.city, header: X-City}
`
	})
	big := strings.Repeat("é", 150)
	for _, row := range []struct {
		name   string
		claims map[string]any
		want   map[string]string // nil: the token is refused
	}{
		{"none but sub", nil, map[string]string{"X-User-Id": "alice"}},
		{"nested list", map[string]any{"realm": map[string]any{"roles": []string{"a", "b c"}}}, map[string]string{"X-Roles": "a,b c"}},
		{"flat name with a dot", map[string]any{"realm.roles": []string{"x"}}, map[string]string{"X-Roles": "x"}},
		{"one text for a list", map[string]any{"realm": map[string]any{"roles": "a"}}, map[string]string{"X-Roles": "a"}},
		{"json", map[string]any{"address": map[string]any{"city": "Zürich", "zip": 8000}}, map[string]string{"X-Address": `{"city":"Z\u00FCrich","zip":8000}`, "X-City": "Z%C3%BCrich"}},
		{"json beyond the plane", map[string]any{"address": "😀"}, map[string]string{"X-Address": `"\uD83D\uDE00"`}},
		{"digits", map[string]any{"level": jsonNumber("12345678901234567890"), "active": true}, map[string]string{"X-Level": "12345678901234567890", "X-Active": "true"}},
		{"fraction", map[string]any{"level": jsonNumber("1.50")}, map[string]string{"X-Level": "1.50"}},
		{"name with slashes", map[string]any{"https://example.com/org": "o1"}, map[string]string{"X-Org": "o1"}},
		{"non-ASCII and percent", map[string]any{"sub": "Zoë 5%"}, map[string]string{"X-User-Id": "Zo%C3%AB 5%25"}},
		{"just small enough", map[string]any{"sub": big}, map[string]string{"X-User-Id": strings.Repeat("%C3%A9", 150)}},
		{"too large when encoded", map[string]any{"sub": big + big}, nil},
		{"exponent", map[string]any{"level": jsonNumber("1e3")}, nil},
		{"list for a text", map[string]any{"level": []int{1}}, nil},
		{"comma in a list", map[string]any{"realm": map[string]any{"roles": []string{"a,b"}}}, nil},
		{"line end", map[string]any{"sub": "a\r\nX-Role: admin"}, nil},
		{"space at the end", map[string]any{"sub": "alice "}, nil},
		{"null is absent", map[string]any{"level": jsonNumber("null")}, map[string]string{"X-Level": ""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := w.Send(t, rig.Get("/claims/", bearer(token(t, row.claims)), "X-Level: root", "X-Org: root"))
			if row.want == nil {
				a.Refused(t, 401, "token_claims")
				w.up.Nothing(t)
				return
			}
			if a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			got := w.up.Last(t).Header
			for name, want := range row.want {
				if values := got.Values(name); len(values) > 1 || got.Get(name) != want {
					t.Errorf("%s is %q, want %q", name, values, want)
				}
			}
			if fmt.Sprint(got["X-Level"], got["X-Org"]) == "[root][root]" {
				t.Error("what the client sent is forwarded")
			}
		})
	}
}

// jsonNumber is written into a token as it is.
type jsonNumber string

// MarshalJSON returns the text.
func (n jsonNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }

func TestResponseGoesThrough(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", nil)
	w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-Answer", "yes")
		rw.Header().Set("Content-Type", "text/x-answer")
		rw.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		rw.WriteHeader(418)
		fmt.Fprint(rw, r.Header.Get("Accept-Encoding"), "|")
	})
	a := w.Send(t, rig.Get("/open/"))
	if a.Status != 418 || a.Body != "|" || a.Header.Get("X-Answer") != "yes" || a.Header.Get("Content-Type") != "text/x-answer" || len(a.Header.Values("Set-Cookie")) != 2 {
		t.Errorf("%d %q %v", a.Status, a.Body, a.Header)
	}
}
