package threats

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gatehouse/test/rig"
)

// upstreamHeader sends a request and returns the header that the upstream got.
func (w *world) upstreamHeader(t *testing.T, raw string) http.Header {
	t.Helper()
	if a := w.Send(t, raw); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return w.up.Last(t).Header
}

// Nothing that a client says of itself reaches an upstream, on any route, also
// where the identity has no such claim.
func TestH01H05H07H11Identity(t *testing.T) {
	w := attack(t)
	forgedLines := []string{
		"X-User-Id: root", "x-user-id: root", "X-USER-ID: root", "X-User-Id-: root", "X--User-Id: root", "-X-User-Id: root", "XUserId: root", "X-UserId: root",
		"X-Client-Id: root", "X-User-Email: root", "X-User-Roles: root", "X-User-Email-: root", "X-Client--Id: root",
		"X-Real-IP: root", "X-Original-URL: /root", "X-Rewrite-URL: /root", "Forwarded: for=root", "X-HTTP-Method-Override: ROOT", "X-HTTP-Method: ROOT", "X-Method-Override: ROOT",
		"X-Forwarded-For: root", "X-Forwarded-Host: root", "X-Forwarded-Proto: root", "X-Forwarded-Port: root", "X-Forwarded-Prefix: root", "X-Forwarded-Uri: root",
		"X-Forwarded-Method: root", "X-Forwarded-Server: root", "X-Forwarded-User: root", "X-Forwarded-Email: root", "X--Forwarded-For: root", "X-Request-Id: root",
		"Proxy: root",
	}
	tok := bearer(token(t, nil)) // no e-mail, no roles
	for path, want := range map[string]http.Header{
		"/orders/":  {"X-User-Id": {"alice"}, "X-Client-Id": {"web"}},
		"/open/":    {},
		"/bearer/":  {"X-User-Id": {"alice"}},
		"/key/":     {"X-Client-Id": {"web"}},
		"/api/v1/x": {},
	} {
		got := w.upstreamHeader(t, rig.Get(path, append([]string{keyLine, tok}, forgedLines...)...))
		for name, values := range got {
			if strings.Contains(strings.ToLower(fmt.Sprint(values)), "root") {
				t.Errorf("%s: %s is %q", path, name, values)
			}
		}
		for _, name := range []string{"X-User-Id", "X-Client-Id", "X-User-Email", "X-User-Roles"} {
			if fmt.Sprint(got[name]) != fmt.Sprint(want[name]) {
				t.Errorf("%s: %s is %q, want %q", path, name, got[name], want[name])
			}
		}
	}
	got := w.upstreamHeader(t, rig.Get("/orders/", append([]string{keyLine, bearer(token(t, map[string]any{"email": "a@b", "realm": map[string]any{"roles": []string{"x", "y"}}}))}, forgedLines...)...))
	if fmt.Sprint(got["X-User-Email"], got["X-User-Roles"]) != "[a@b] [x,y]" {
		t.Errorf("%q %q", got["X-User-Email"], got["X-User-Roles"])
	}
}

func TestH02Connection(t *testing.T) {
	w := attack(t)
	for _, line := range []string{"Connection: close, X-User-Id, X-Client-Id", "Connection: x-user-id", "Connection: close,X-USER-ID , X-Forwarded-For, X-Request-Id, Authorization, Api-Key"} {
		raw := strings.Replace(rig.Get("/orders/", keyLine, bearer(token(t, nil))), "Connection: close", line, 1)
		got := w.upstreamHeader(t, raw)
		if got.Get("X-User-Id") != "alice" || got.Get("X-Client-Id") != "web" || got.Get("X-Forwarded-For") != "127.0.0.1" || got.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", line, got)
		}
	}
	w.refused(t, try{"credentials are not hop by hop", strings.Replace(rig.Get("/orders/", keyLine), "Connection: close", "Connection: close, Api-Key", 1), 401, "token_missing"})
}

func TestH03H04H05Names(t *testing.T) {
	w := attack(t)
	var all []try
	for _, line := range []string{
		"X_User_Id: root", "X-User_Id: root", "X.User.Id: root", "X-User_Id.x: root", "X-User-Id : root", "X-User-Id\t: root", " X-User-Id: root", "X-User-Id\x00: root",
		"X\xc2\xadUser-Id: root", "X User-Id: root", ": root", "X-User-Id", "X-User-Id\r: root", "X-User-Id(x): root", "_: x", "Content_Length: 5",
	} {
		for _, path := range []string{"/orders/", "/open/"} {
			all = append(all, try{fmt.Sprintf("%q on %s", line, path), rig.Get(path, keyLine, bearer(token(t, nil)), line), 400, "request_malformed"})
		}
	}
	w.refused(t, all...)
}

// The header is called x-user-ID in the configuration.
func TestH06SpellingInTheConfig(t *testing.T) {
	w := attack(t)
	got := w.upstreamHeader(t, rig.Get("/orders/", keyLine, bearer(token(t, nil)), "X-User-Id: root", "X-User-ID: root"))
	if fmt.Sprint(got["X-User-Id"]) != "[alice]" {
		t.Errorf("%v", got)
	}
}

func TestH09NonASCII(t *testing.T) {
	w := attack(t)
	got := w.upstreamHeader(t, rig.Get("/orders/", keyLine, bearer(token(t, map[string]any{"sub": "Zoë 100%"}))))
	if got.Get("X-User-Id") != "Zo%C3%AB 100%25" {
		t.Errorf("%q", got["X-User-Id"])
	}
}

func TestH12ClientAddress(t *testing.T) {
	t.Parallel()
	w := own(t, replace("drain_timeout: 5s", "drain_timeout: 5s, trusted_proxies: [127.0.0.0/8, 10.0.0.0/8]"))
	for _, row := range []struct{ sent, client string }{
		{"203.0.113.7", "203.0.113.7"},
		{"1.1.1.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"},
		{"203.0.113.7, nonsense", "127.0.0.1"},
		{"10.0.0.1, 10.0.0.2", "10.0.0.1"},
		{"[2001:db8::1]:80", "2001:db8::1"},
		{"1.2.3.4.5", "127.0.0.1"},
		{"", "127.0.0.1"},
		{"::ffff:203.0.113.9", "203.0.113.9"},
	} {
		a := w.Send(t, rig.Get("/open/", "X-Forwarded-For: "+row.sent))
		if line, _ := w.Log.Access(t, a); line["client_ip"] != row.client {
			t.Errorf("%q: client_ip %v, want %s", row.sent, line["client_ip"], row.client)
		}
		if got := w.up.Last(t).Header.Get("X-Forwarded-For"); !strings.HasSuffix(got, "127.0.0.1") {
			t.Errorf("X-Forwarded-For %q does not end in the peer", got)
		}
	}
	untrusting := attack(t)
	a := untrusting.Send(t, rig.Get("/open/", "X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7"))
	if line, _ := untrusting.Log.Access(t, a); line["client_ip"] != "127.0.0.1" {
		t.Errorf("believed by a gateway that trusts nobody: %v", line["client_ip"])
	}
}

func TestH13Host(t *testing.T) {
	w := attack(t)
	var all []try
	for _, host := range []string{"gw.example\"; for=root", "gw.example, evil", "gw.example evil", "user@gw.example", "gw.example/x", "gw.example:80:80", "gw.example:", "", "[::1", "gw.example:x", "gw\xc3\xa4.example", "gw.example?x", "gw.example#x", "gw%2eexample"} {
		all = append(all, try{fmt.Sprintf("%q", host), strings.Replace(rig.Get("/open/"), "Host: gw.example", "Host: "+host, 1), 400, "request_malformed"})
	}
	w.refused(t, all...)
}

func TestH14AnswersOfTheUpstream(t *testing.T) {
	w := attack(t)
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Authorization", "X-User-Id", "X-Client-Id", "X-Request-Id", "Api-Key", "X-User--Email"} {
			rw.Header().Set(name, "Bearer forged")
		}
		rw.WriteHeader(103)
		rw.WriteHeader(200)
	})
	for path, renewed := range map[string]bool{"/open/": false, "/both/": false, "/orders/": true} {
		a := w.Send(t, rig.Get(path, keyLine, bearer(token(t, nil))))
		headers := []http.Header{a.Header}
		for _, early := range a.Early {
			headers = append(headers, early.Header)
		}
		if len(a.Early) != 1 {
			t.Errorf("%s: %d early hints", path, len(a.Early))
		}
		for _, h := range headers {
			for name, values := range h {
				if strings.Contains(fmt.Sprint(values), "forged") {
					t.Errorf("%s: %s is %q", path, name, values)
				}
			}
		}
		if got := a.Header.Values("Authorization"); len(got) > 1 || renewed != (len(got) == 1) {
			t.Errorf("%s: Authorization %q", path, got)
		}
	}
}

// Each request has the identity that it came with, also when many go at once
// and the upstream's connections keep dying under them.
func TestH15IdentityIsNotSwapped(t *testing.T) {
	t.Parallel()
	w := own(t, nil)
	w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/last") {
			rw.Header().Set("Connection", "close")
		}
		_, _ = fmt.Fprint(rw, r.Header["X-User-Id"], r.Header["X-Client-Id"])
	})
	var group sync.WaitGroup
	for user := range 20 {
		group.Go(func() {
			name := fmt.Sprintf("user%d", user)
			tok := bearer(token(t, map[string]any{"sub": name}))
			for i := range 20 {
				path := []string{"/orders/", "/orders/last", "/open/last", "/key/"}[(user+i)%4]
				want := map[string]string{"/open/last": "[] []", "/key/": "[] [web]"}[path]
				if want == "" {
					want = "[" + name + "] [web]"
				}
				if a := w.Send(t, rig.Get(path, keyLine, tok)); a.Status != 200 || a.Body != want {
					t.Errorf("%s as %s: %d %s, want %s", path, name, a.Status, a.Body, want)
				}
			}
		})
	}
	group.Wait()
}
