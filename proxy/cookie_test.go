package proxy

import (
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

const cookieName = "__Host-access_token"

func cookieGateway(t *testing.T) *gateway {
	g := newGateway(t, func(s *setup) {
		ws := route("ws", "/ws", auth.BearerOnly)
		ws.WebSocket = true
		kept := route("kept", "/kept", auth.BearerOnly)
		kept.KeepAuthorization = true
		s.routes = []*Route{route("all", "/", auth.BearerOnly), route("open", "/open", auth.None), route("keys", "/keys", auth.APIKeyOnly), ws, kept}
		s.state.Cookies = []string{cookieName}
	})
	g.issuer.Cookie = cookieName
	return g
}

func TestA13CookieNeedsThisSite(t *testing.T) {
	g := cookieGateway(t)
	cookie := "Cookie: " + cookieName + "=" + token(nil)
	for _, test := range []struct {
		method, target, more string
		status               int
	}{
		{"GET", "/", "X: 1", 200},
		{"GET", "/", "Origin: https://evil.example", 200}, // safe: CORS keeps the answer from its page
		{"POST", "/", "Origin: http://gw.example", 200},
		{"POST", "/", "Sec-Fetch-Site: same-origin", 200},
		{"POST", "/", "Origin: https://evil.example", 403},
		{"POST", "/", "Origin: null", 403},
		{"POST", "/", "Sec-Fetch-Site: cross-site", 403},
		{"DELETE", "/", "Sec-Fetch-Site: same-site", 403},
		{"POST", "/open", "Sec-Fetch-Site: same-site", 200}, // it is not looked at
		{"POST", "/keys", "Sec-Fetch-Site: cross-site\r\nApi-Key: " + apiKey, 200},
		{"GET", "/ws", "Origin: https://evil.example\r\nConnection: upgrade\r\nUpgrade: websocket", 403},
	} {
		before := g.receivedSoFar()
		a := g.raw(test.method + " " + test.target + " HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n" + cookie + "\r\n" + test.more + "\r\n\r\n")
		if a.StatusCode != test.status || test.status == 403 && !strings.Contains(a.body, `"origin_forbidden"`) {
			t.Errorf("%s %s %q: %d %s", test.method, test.target, test.more, a.StatusCode, a.body)
		}
		if got := g.receivedSoFar() > before; got != (test.status == 200) {
			t.Errorf("%s %s %q: reached the upstream: %t", test.method, test.target, test.more, got)
		}
	}
	// The header is sent by scripts of this site only: no such check.
	a := g.raw("POST / HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\nOrigin: https://app.example\r\nAuthorization: Bearer " + token(nil) + "\r\n\r\n")
	if a.StatusCode != 200 {
		t.Errorf("a header with another origin: %d", a.StatusCode)
	}
}

func TestT12CookieTokensReachNoUpstream(t *testing.T) {
	g := cookieGateway(t)
	mine := cookieName + "=" + token(nil)
	for _, test := range []struct{ target, cookie, want string }{
		{"/", "a=b; " + mine + "; c=d", "a=b; c=d"},
		{"/", mine, ""},
		{"/", mine + "; ;", ""},
		{"/open", mine + "; a=b", "a=b"}, // not looked at, and no identity
		{"/kept", mine, mine},
	} {
		if a := g.get(test.target, "Cookie: "+test.cookie); a.StatusCode != 200 {
			t.Fatalf("%s: %d %s", test.target, a.StatusCode, a.body)
		}
		lines := g.last().Header["Cookie"]
		if got := strings.Join(lines, "|"); got != test.want || got == "" && lines != nil {
			t.Errorf("%s: the upstream got the cookies %.80q, want %.80q", test.target, got, test.want)
		}
	}
}

// Where no cookie carries tokens they pass byte for byte.
func TestCookiesOfOthersPass(t *testing.T) {
	g := newGateway(t, nil)
	const odd = "a=b;;c=d ; " + cookieName + "=x"
	g.get("/", "Cookie: "+odd)
	if got := g.last().Header["Cookie"]; len(got) != 1 || got[0] != odd {
		t.Errorf("%q", got)
	}
}

// A cookie is looked at by its name, for the first issuer that has one there.
func TestCookieOfWhichIssuer(t *testing.T) {
	g := cookieGateway(t)
	p := g.state.table.routes[0].Policy
	p.Issuers = append([]*auth.Issuer{{Name: "none", Keys: auth.NewStaticKeys(nil)}}, append(p.Issuers, &auth.Issuer{Name: "other", Cookie: "__Host-other", Keys: auth.NewStaticKeys(nil)})...)
	for cookie, status := range map[string]int{
		cookieName + "=" + token(nil):                        200,
		cookieName + "=" + token(nil) + "; __Host-other=x.y": 200,
		"=" + token(nil):                                     401,
	} {
		if a := g.get("/", "Cookie: "+cookie); a.StatusCode != status {
			t.Errorf("%.30s…: %d %s", cookie, a.StatusCode, a.body)
		}
	}
}

func TestRenewedCookieTokensStayInTheirCookie(t *testing.T) {
	g := cookieGateway(t)
	a := g.get("/", "Cookie: "+cookieName+"="+token(map[string]any{"iat": time.Now().Unix() - 5}))
	cookies := a.Cookies()
	if a.StatusCode != 200 || len(cookies) != 1 || cookies[0].Name != cookieName {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	c := cookies[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != 3 || c.Path != "/" || c.Domain != "" || c.MaxAge != 605 {
		t.Errorf("cookie %+v", c)
	}
	if a.Header.Get("Authorization") != "" || a.Header.Get("Access-Control-Expose-Headers") != "" ||
		a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Vary") != "Cookie" {
		t.Errorf("header %v", a.Header)
	}
	if again := g.get("/", "Cookie: "+cookieName+"="+c.Value); again.StatusCode != 200 {
		t.Errorf("the renewed token: %d %s", again.StatusCode, again.body)
	}
}
