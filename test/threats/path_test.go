package threats

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// The attacker wants /admin/ through the open route.
func TestP01P02P03P04P05AmbiguousPaths(t *testing.T) {
	w := attack(t)
	var all []try
	for _, target := range []string{
		"/open/../admin/", "/open/./../admin/", "/open/..", "/open/.", "/open/a/../../admin/x", "/../admin/", "/.", "/..",
		"/open/%2e%2e/admin/", "/open/%2E./admin/", "/open/.%2e/admin/", "/open/%2e/admin", "/open/%2e%2e", "/%2e%2e/",
		"/open/..%2fadmin/", "/open%2f..%2fadmin/", "/open/%2F", "/open/a%5cb", "/open/a%5C..%5Cadmin", "/open\\..\\admin/", "/open/%00", "/open/a%00.html",
		"/open/%252e%252e/admin", "/open/%252f", "/open/%25%32%65", "/open/%25252e", "/open/%0d%0aX:y", "/open/%09", "/open/%7f",
		"//open/", "/open//admin/", "///", "//admin/", "/open//", "//evil.example/open/",
		"/open/..;/admin/", "/open/..;a=b/admin/", "/open/;/admin", "/open/.;x/admin", "/open/%2e%2e;/admin/", "/open/..%3b/admin/",
		"/open/%", "/open/%2", "/open/%zz", "/open/%c0%ae%c0%ae/admin", "/open/%ff", "/open/\xc3\xa9", "/open/%u002e",
	} {
		all = append(all, try{fmt.Sprintf("%q", target), rig.Get(target), 400, "request_malformed"})
	}
	w.refused(t, all...)
}

// What is matched is what is forwarded.
func TestP06P08CanonicalPath(t *testing.T) {
	w := attack(t)
	for target, want := range map[string]string{
		"/open/a": "/open/a", "/%6fpen/%61": "/open/a", "/open/%7Euser": "/open/~user", "/open/a%20b": "/open/a%20b", "/open/%3fx": "/open/%3Fx", "/open/a%3Bb": "/open/a%3Bb",
		"/open/%23": "/open/%23", "/open/100%25": "/open/100%25", "/open/%c3%a9": "/open/%C3%A9", "/open/a;b=c": "/open/a;b=c", "/open/a:b@c": "/open/a:b@c",
		"/api/v1/x": "/v1/x", "/api/v1/": "/v1/", "/%61pi/v1/%78?q": "/v1/x?q", "/open/...": "/open/...", "/open/..a": "/open/..a", "/open/.well-known": "/open/.well-known",
	} {
		if a := w.Send(t, rig.Get(target)); a.Status != 200 {
			t.Errorf("%s: %d", target, a.Status)
		}
		if got := w.up.Last(t).RequestURI; got != want {
			t.Errorf("%s was forwarded as %s, want %s", target, got, want)
		}
	}
	w.refused(t,
		try{"other case", rig.Get("/OPEN/"), 404, "route_not_found"},
		try{"encoded letters of a closed route", rig.Get("/%61dmin/"), 401, "api_key_missing"},
		try{"strip prefix alone", rig.Get("/api"), 404, "route_not_found"},
		try{"more than the prefix", rig.Get("/apiv1/"), 404, "route_not_found"},
	)
}

func TestP07P13P14P15P20Routing(t *testing.T) {
	w := attack(t)
	all := []try{
		{"longer word", rig.Get("/openly/"), 404, "route_not_found"},
		{"dots behind", rig.Get("/open../"), 404, "route_not_found"},
		{"no route", rig.Get("/nothing"), 404, "route_not_found"},
		{"root", rig.Get("/"), 404, "route_not_found"},
		{"method of no route", rig.Get("/posted/"), 405, "method_not_allowed"},
		{"no redirect from /orders", rig.Get("/orders"), 401, "api_key_missing"},
		{"overridden method", rig.Get("/posted/", "X-HTTP-Method-Override: POST"), 405, "method_not_allowed"},
		{"CONNECT authority", "CONNECT gw.example:443 HTTP/1.1\r\nHost: gw.example:443\r\n\r\n", 0, ""},
		{"CONNECT path", "CONNECT /open/ HTTP/1.1\r\nHost: gw.example\r\n\r\n", 405, "method_not_allowed"},
	}
	for _, method := range []string{"get", "Get", "TRACE", "PROPFIND", "FOO", "GET\x00", "G@T", "MKCOL", strings.Repeat("A", 40)} {
		status, code := 405, "method_not_allowed"
		if strings.ContainsAny(method, "\x00@") {
			status, code = 400, "request_malformed"
		}
		all = append(all, try{fmt.Sprintf("%.8q", method), rig.Request(method, "/open/", ""), status, code})
	}
	all[7].status, all[7].code = 405, "method_not_allowed"
	w.refused(t, all...)
	if a := w.Send(t, rig.Get("/open")); a.Status != 200 || a.Header.Get("Location") != "" {
		t.Errorf("/open: %d %v", a.Status, a.Header)
	}
	if got := w.up.Last(t).RequestURI; got != "/open" {
		t.Errorf("/open was forwarded as %s", got)
	}
}

func TestP09P10Query(t *testing.T) {
	w := attack(t)
	w.refused(t,
		try{"fragment", rig.Get("/open/#/admin"), 400, "request_malformed"},
		try{"fragment in the query", rig.Get("/open/?a#b"), 400, "request_malformed"},
		try{"open path in the query", rig.Get("/admin/?/open/"), 401, "api_key_missing"},
		try{"open path in a parameter", rig.Get("/admin/?path=/open/&_method=GET"), 401, "api_key_missing"},
		try{"query bomb", rig.Get("/open/?" + strings.Repeat("a&", 5000)), 414, "request_malformed"},
		try{"long path", rig.Get("/open/" + strings.Repeat("a", 20000)), 414, "request_malformed"},
	)
	for _, query := range []string{"?", "?a=1;b=2&c=%zz", "?a=%2e%2e/%2fadmin", "?" + strings.Repeat("a&", 4000), "?a=b?c=d//../", "?q=%00%ff"} {
		if a := w.Send(t, rig.Get("/open/"+query)); a.Status != 200 {
			t.Errorf("%.20s: %d", query, a.Status)
		}
		if got := w.up.Last(t).RequestURI; got != "/open/"+query {
			t.Errorf("%.20s was forwarded as %.40s", query, got)
		}
	}
}

func TestP11P12Hosts(t *testing.T) {
	w := attack(t)
	at := func(host, target string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
	}
	for _, raw := range []string{
		at("tenant.example", "/hosted/"), at("TENANT.example", "/hosted/"), at("tenant.example.", "/hosted/"), at("tenant.example:8080", "/hosted/"),
		at("tenant.example", "http://tenant.example/hosted/"), at("tenant.example", "HTTPS://Tenant.Example/hosted/"),
	} {
		if a := w.Send(t, raw); a.Status != 200 {
			t.Errorf("%q: %d %s", raw, a.Status, a.Body)
		}
		if got := w.up.Last(t).RequestURI; got != "/hosted/" {
			t.Errorf("%q was forwarded as %s", raw, got)
		}
	}
	w.refused(t,
		try{"another host", at("evil.example", "/hosted/"), 404, "route_not_found"},
		try{"a host behind", at("tenant.example.evil.example", "/hosted/"), 404, "route_not_found"},
		try{"two dots", at("tenant.example..", "/hosted/"), 400, "request_malformed"},
		try{"target against Host", at("gw.example", "http://tenant.example/hosted/"), 400, "request_malformed"},
		try{"Host against target", at("tenant.example", "http://evil.example/hosted/"), 400, "request_malformed"},
		try{"user info", at("tenant.example", "http://tenant.example@evil.example/hosted/"), 400, "request_malformed"},
		try{"another scheme", at("tenant.example", "ftp://tenant.example/hosted/"), 400, "request_malformed"},
		try{"two Hosts", "GET /hosted/ HTTP/1.1\r\nHost: tenant.example\r\nHost: evil.example\r\n\r\n", 400, "request_malformed"},
		try{"no Host", "GET /open/ HTTP/1.1\r\n\r\n", 400, "request_malformed"},
		try{"forwarded host", rig.Get("/hosted/", "X-Forwarded-Host: tenant.example"), 404, "route_not_found"},
		try{"authority form", "GET gw.example:80 HTTP/1.1\r\nHost: gw.example\r\n\r\n", 400, "request_malformed"},
	)
}

func TestP16Upgrades(t *testing.T) {
	w := attack(t)
	tok := bearer(token(t, nil))
	upgrade := func(path, protocol string, lines ...string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol +
			"\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
	}
	w.up.Handle(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" && r.URL.Path != "/ws/" || r.Header.Get("Http2-Settings") != "" {
			t.Errorf("%s: the upstream got Upgrade %q", r.URL.Path, r.Header.Get("Upgrade"))
		}
		rw.WriteHeader(200)
	})
	for _, protocol := range []string{"h2c", "foo, websocket", "websocket, h2c", "TLS/1.0", "websocket/13", "HTTP/2.0"} {
		for _, path := range []string{"/open/", "/ws/"} {
			if a := w.Send(t, upgrade(path, protocol, tok)); a.Status != 200 {
				t.Errorf("%s on %s: %d", protocol, path, a.Status)
			}
			if r := w.up.Last(t); r.Header.Get("Upgrade") != "" || r.Header.Get("Connection") != "" {
				t.Errorf("%s on %s went upstream: %v", protocol, path, r.Header)
			}
		}
	}
	if a := w.Send(t, upgrade("/open/", "websocket")); a.Status != 200 {
		t.Errorf("websocket where it is not allowed: %d", a.Status)
	}
	if r := w.up.Last(t); r.Header.Get("Upgrade") != "" {
		t.Errorf("websocket went upstream where it is not allowed: %v", r.Header)
	}
	w.refused(t, try{"without token", upgrade("/ws/", "websocket"), 401, "token_missing"})
}

// A WebSocket ends with the token that opened it.
func TestP17WebSocketEndsWithItsCredential(t *testing.T) {
	t.Parallel()
	w := own(t, replace("audiences: [api]\n    keys:\n", "audiences: [api]\n    leeway: 0s\n    keys:\n"))
	w.up.Handle(t, func(rw http.ResponseWriter, _ *http.Request) {
		c, buffered, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
		_ = buffered.Flush()
		_, _ = c.Read(make([]byte, 1)) // until the gateway ends it
	})
	open := func(tok string) *rig.Conn {
		c := w.Dial(t)
		fmt.Fprintf(c, "GET /ws/ HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n\r\n", bearer(tok))
		a, err := c.Read("GET")
		if err != nil || a.Status != 101 {
			t.Fatalf("%d %v", a.Status, err)
		}
		if hello := make([]byte, 5); true {
			if _, err := c.Buffered().Read(hello); err != nil || string(hello) != "hello" {
				t.Fatalf("%q %v", hello, err)
			}
		}
		return c
	}
	expiring := open(token(t, map[string]any{"exp": time.Now().Unix() + 4}))
	revoked := open(token(t, map[string]any{"sid": "ws17"}))
	if a := w.AdminCall(t, "POST", "/v1/revocations", `{"kind":"sid","id":"ws17","issuer":"main"}`); a.Status != 201 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for name, c := range map[string]*rig.Conn{"expired": expiring, "revoked": revoked} {
		_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
		if n, err := c.Buffered().Read(make([]byte, 1)); n > 0 || err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: the connection goes on (%v)", name, err)
		}
	}
}
