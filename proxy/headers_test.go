package proxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/auth"
)

// spoofed is every spelling that some server takes for X-User-Id.
var spoofed = []string{
	"X-User-Id: mallory", "x-user-id: mallory", "X_User_Id: mallory", "X.User.Id: mallory", "X-User_Id: mallory",
	"X--User-Id: mallory", "X-User-Id-: mallory", "-X-User-Id: mallory", "XUserId: mallory", "x-userid: mallory", "X~User~Id: mallory",
	"X-Client-Id: mallory", "X_Client_Id: mallory", "X-User-Email: mallory", "XUSEREMAIL: mallory",
}

func identity(h http.Header) (found []string) {
	for name, values := range h {
		folded := strings.ToLower(strings.Map(func(r rune) rune {
			if strings.ContainsRune("-_.~", r) {
				return -1
			}
			return r
		}, name))
		if slices.Contains([]string{"xuserid", "xclientid", "xuseremail"}, folded) {
			found = append(found, name+": "+strings.Join(values, "|"))
		}
	}
	slices.Sort(found)
	return found
}

func TestH01IdentityIsNeverTheClients(t *testing.T) {
	for _, mode := range []auth.Mode{auth.None, auth.APIKeyOnly, auth.BearerOnly, auth.Both, auth.Any} {
		g := newGateway(t, func(s *setup) {
			plain := route("plain", "/plain/", auth.None)
			plain.Policy.Forward = nil
			s.routes = []*Route{route("all", "/", mode), plain}
		})
		want := []string{}
		if mode == auth.APIKeyOnly || mode == auth.Both || mode == auth.Any {
			want = append(want, "X-Client-Id: web")
		}
		if mode == auth.BearerOnly || mode == auth.Both || mode == auth.Any {
			want = append(want, "X-User-Id: alice") // and no e-mail: the token has none
		}
		for _, line := range spoofed {
			for target, want := range map[string][]string{"/": want, "/plain/": {}} {
				g.forget()
				a := g.get(target, line, "Api-Key: "+apiKey, "Authorization: Bearer "+token(nil))
				if a.StatusCode == http.StatusBadRequest {
					continue // refused for its spelling: as good
				}
				if a.StatusCode != http.StatusOK {
					t.Fatalf("%s %s: %d %s", target, line, a.StatusCode, a.body)
				}
				if got := identity(g.last().Header); !slices.Equal(got, want) {
					t.Errorf("%v %s %s: upstream got %q, want %q", mode, target, line, got, want)
				}
			}
		}
	}
}

func TestH01NamesOfNoRoute(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes[0].Policy.Forward = nil })
	g.get("/", "X-User-Id: mallory", "X-Client-Id: mallory")
	if got := identity(g.last().Header); len(got) > 0 {
		t.Errorf("upstream got %q", got)
	}
	// What one route sets is no other's client's to say, whatever it is made of.
	g = newGateway(t, func(s *setup) {
		other := route("other", "/other/", auth.None)
		other.Policy.Forward.APIKeyHeader, other.Policy.Forward.CertificateHeader = "X-Key", "X-Cert"
		other.Policy.Forward.Claims = []auth.ClaimHeader{{Claim: "tier", Header: "X-Tier"}}
		s.routes = append(s.routes, other)
	})
	for _, name := range []string{"X-Key", "X-Cert", "X-Tier"} {
		g.get("/", name+": mallory")
		if got := g.last().Header[name]; got != nil {
			t.Errorf("upstream got %s: %q", name, got)
		}
	}
}

func TestH02ConnectionCannotTakeHeadersAway(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.Both)} })
	a := g.raw("GET / HTTP/1.1\r\nHost: h\r\nApi-Key: " + apiKey + "\r\nAuthorization: Bearer " + token(nil) +
		"\r\nX-Hop: 1\r\nX-Keep: 1\r\nConnection: close, X-User-Id, x-client-id, X-Forwarded-For\r\nConnection: X-Request-Id, x-hop\r\n\r\n")
	h := g.last().Header
	if a.StatusCode != 200 || h.Get("X-User-Id") != "alice" || h.Get("X-Client-Id") != "web" || h.Get("X-Forwarded-For") == "" ||
		h.Get("X-Request-Id") == "" || h.Get("X-Hop") != "" || h.Get("X-Keep") != "1" {
		t.Errorf("%d %v", a.StatusCode, h)
	}
}

// The names of the wire are checked in package wire too; here a request that
// got past it.
func TestH03UnderscoreAlias(t *testing.T) {
	testFold(t, "X_User_Id", "x_user_id", "X_User-Id", "X-User_Id")
}
func TestH04DotAlias(t *testing.T) { testFold(t, "X.User.Id", "X-User_Id.", "X.User_Id") }
func TestH05NearNames(t *testing.T) {
	testFold(t, "X-User-Id-", "X--User-Id", "-X-User-Id", "Xuserid", "XUserID ")
}

func testFold(t *testing.T, aliases ...string) {
	n := must(newNames([]string{"X-User-Id"}))
	for _, name := range aliases {
		if n.of(name)&dropFromRequest == 0 {
			t.Errorf("%q passes", name)
		}
	}
	for _, name := range []string{"X-User", "X-User-Id2", "User-Id", "X-Users-Id", "Cookie", "Accept", strings.Repeat("X-User-Id", 50)} {
		if n.of(name) != 0 {
			t.Errorf("%q does not pass", name)
		}
	}
}

func TestH06SpellingInTheConfig(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.state.APIKeyHeader = "x-api-KEY"
		s.routes = []*Route{route("all", "/", auth.APIKeyOnly)}
	})
	a := g.get("/", "X-API-Key: "+apiKey, "X-Client-Id: mallory")
	if a.StatusCode != 200 || g.last().Header.Get("X-Client-Id") != "web" || g.last().Header.Get("X-Api-Key") != "" {
		t.Errorf("%d %v", a.StatusCode, g.last().Header)
	}
}

func TestH07OneLine(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.BearerOnly)} })
	g.get("/", "X-User-Id: mallory", "X-User-Id: eve", "Authorization: Bearer "+token(nil))
	if got := g.last().Header["X-User-Id"]; !slices.Equal(got, []string{"alice"}) {
		t.Errorf("%q", got)
	}
}

func TestH08ControlCharacterInClaim(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.BearerOnly)} })
	for _, email := range []string{"a\r\nX-Admin: 1", "a\x00", " admin"} {
		a := g.get("/", "Authorization: Bearer "+token(map[string]any{"email": email}))
		g.refused(a, http.StatusUnauthorized, "token_claims")
	}
}

func TestCredentialsAreNotForwarded(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		kept := route("kept", "/kept/", auth.Both)
		kept.KeepAuthorization = true
		s.routes = []*Route{route("all", "/", auth.Both), route("none", "/none/", auth.None), kept}
	})
	bearer := "Bearer " + token(nil)
	for target, want := range map[string]string{"/": "", "/none/": "", "/kept/": bearer} {
		a := g.get(target, "Api-Key: "+apiKey, "Authorization: "+bearer)
		if h := g.last().Header; a.StatusCode != 200 || h.Get("Authorization") != want || h.Get("Api-Key") != "" {
			t.Errorf("%s: %d %v", target, a.StatusCode, h)
		}
	}
	if a := g.get("/none/", "Api_Key: x", "ApiKey: x"); a.StatusCode == 200 && (g.last().Header["Apikey"] != nil || g.last().Header["Api_key"] != nil) {
		t.Errorf("an alias of the API key's header passes: %v", g.last().Header)
	}
}

// forwardingNames are what frameworks take for the client's address, target or
// method.
var forwardingNames = []string{
	"Forwarded", "X-Real-Ip", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Server",
	"X-Forwarded-Anything", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override",
}

func TestH11ForwardingHeaders(t *testing.T) {
	spoof := []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "Proxy: http://evil", "Proxy-Connection: x", "HTTP2-Settings: x", "X--Request-Id: x"}
	for _, name := range forwardingNames {
		spoof = append(spoof, name+": evil")
	}
	g := newGateway(t, nil)
	g.get("/", spoof...)
	h := g.last().Header
	for _, name := range append(forwardingNames, "Proxy", "Proxy-Connection", "Http2-Settings", "X--Request-Id") {
		if h.Get(name) != "" {
			t.Errorf("untrusted: %s passes", name)
		}
	}
	if h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Host") != "gw.example" || h.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("untrusted: %v", h)
	}

	g = newGateway(t, trustLoopback)
	g.get("/", spoof...)
	h = g.last().Header
	for _, name := range forwardingNames {
		if h.Get(name) != "evil" {
			t.Errorf("trusted: %s does not pass", name)
		}
	}
	if h.Get("X-Forwarded-For") != "1.2.3.4, 127.0.0.1" || h.Get("X-Forwarded-Host") != "evil" || h.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("trusted: %v", h)
	}
	if h.Get("Http2-Settings")+h.Get("Proxy-Connection") != "" {
		t.Errorf("hop-by-hop headers pass: %v", h)
	}
	g.get("/", "X-Forwarded-Proto: javascript", "X-Forwarded-Host: a", "X-Forwarded-Host: b")
	if h := g.last().Header; h.Get("X-Forwarded-Proto") != "http" || !slices.Equal(h["X-Forwarded-Host"], []string{"gw.example"}) {
		t.Errorf("trusted, but nonsense: %v", h)
	}
}

func TestH12ClientAddress(t *testing.T) {
	for _, c := range []struct {
		trusted bool
		lines   []string
		want    string
	}{
		{false, []string{"1.2.3.4"}, "127.0.0.1"},
		{true, nil, "127.0.0.1"},
		{true, []string{"1.2.3.4"}, "1.2.3.4"},
		{true, []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{true, []string{"6.6.6.6, 1.2.3.4, 10.0.0.1"}, "1.2.3.4"},
		{true, []string{"6.6.6.6", "1.2.3.4", "10.0.0.1 ,10.0.0.2"}, "1.2.3.4"},
		{true, []string{"1.2.3.4, evil"}, "127.0.0.1"},
		{true, []string{"1.2.3.4, evil, 10.0.0.9"}, "10.0.0.9"},
		{true, []string{"1.2.3.4,"}, "127.0.0.1"},
		{true, []string{"1.2.3.4:567"}, "1.2.3.4"},
		{true, []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{true, []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		{true, []string{"fe80::1%eth0"}, "fe80::1"},
		{true, []string{"10.0.0.1"}, "10.0.0.1"},
		{true, []string{`"1.2.3.4"`}, "127.0.0.1"},
	} {
		g := newGateway(t, func(s *setup) {
			if c.trusted {
				trustLoopback(s)
			}
		})
		var lines []string
		for _, l := range c.lines {
			lines = append(lines, "X-Forwarded-For: "+l)
		}
		g.get("/", lines...)
		if got := g.accessLine()["client_ip"]; got != c.want {
			t.Errorf("%v %q: %v, want %s", c.trusted, c.lines, got, c.want)
		}
	}
}

func TestRequestID(t *testing.T) {
	for _, c := range []struct {
		trusted bool
		lines   []string
		kept    bool
	}{
		{false, []string{"abc"}, false},
		{true, []string{"abc.DEF_1-2"}, true},
		{true, []string{"a"}, true},
		{true, []string{""}, false},
		{true, []string{strings.Repeat("a", 128)}, true},
		{true, []string{strings.Repeat("a", 129)}, false},
		{true, []string{"a b"}, false},
		{true, []string{"a~b"}, false},
		{true, []string{"a", "b"}, false},
		{true, []string{`a"b`}, false},
		{true, nil, false},
	} {
		g := newGateway(t, func(s *setup) {
			if c.trusted {
				trustLoopback(s)
			}
			s.upstream = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Request-Id", "upstream's") }
		})
		var lines []string
		for _, l := range c.lines {
			lines = append(lines, "X-Request-Id: "+l)
		}
		a := g.get("/", lines...)
		id := a.Header.Values("X-Request-Id")
		if len(id) != 1 || c.kept != (len(c.lines) > 0 && id[0] == c.lines[0]) || !c.kept && len(id[0]) != 32 {
			t.Errorf("%v %.20q: answered %q", c.trusted, c.lines, id)
		}
		if !slices.Equal(g.last().Header["X-Request-Id"], id) {
			t.Errorf("upstream got %q, client %q", g.last().Header["X-Request-Id"], id)
		}
		if g.accessLine()["request_id"] != id[0] {
			t.Errorf("logged another id")
		}
	}
}

func TestT01TwoAuthorizationLines(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.BearerOnly)} })
	line := "Authorization: Bearer " + token(nil)
	g.refused(g.get("/", line, line), http.StatusUnauthorized, "token_malformed")
}

func TestT08Trailers(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		g := newGateway(t, func(s *setup) { s.scheme = scheme })
		a := g.raw("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTE: trailers\r\nTrailer: Authorization, X-User-Id\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\nX-User-Id: mallory\r\n\r\n")
		r := g.last()
		if a.StatusCode != 200 || r == nil || len(r.Trailer) > 0 || r.Header.Get("Trailer")+r.Header.Get("Te") != "" {
			t.Errorf("%s: %d %+v", scheme, a.StatusCode, r)
		}
		post := must(http.NewRequest("POST", g.server.URL, io.MultiReader(strings.NewReader("abc"))))
		post.Trailer = http.Header{"X-User-Id": {"mallory"}}
		res := must(clients(t)["HTTP/2"].Do(post))
		res.Body.Close()
		if r := g.last(); res.StatusCode != 200 || g.receivedSoFar() != 2 || len(r.Trailer) > 0 {
			t.Errorf("HTTP/2 to %s: %d %+v", scheme, res.StatusCode, r)
		}
	}
}

func TestT09Preflight(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.Both)} })
	g.refused(g.raw("OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"),
		http.StatusUnauthorized, "api_key_missing")
}

func TestT10OptionsStar(t *testing.T) {
	g := newGateway(t, nil)
	a := g.raw("OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if a.StatusCode != 400 && a.StatusCode != 405 || g.last() != nil {
		t.Errorf("%d", a.StatusCode)
	}
}

func TestS09ExpectIsNotForwarded(t *testing.T) {
	g := newGateway(t, nil)
	r := must(http.NewRequest("POST", g.server.URL, strings.NewReader("abc")))
	r.Header.Set("Expect", "100-continue")
	res := must(http.DefaultClient.Do(r))
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
	if g.last() == nil || g.last().Header.Get("Expect") != "" {
		t.Errorf("upstream got %+v", g.last())
	}
}

func TestUserAgentIsNotInvented(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		g := newGateway(t, func(s *setup) { s.scheme = scheme })
		g.get("/", "Accept-Encoding: br")
		if h := g.last().Header; h.Get("User-Agent") != "" || h.Get("Accept-Encoding") != "br" {
			t.Errorf("%s: %v", scheme, h)
		}
		g.get("/") // D15
		if h := g.last().Header; h.Get("Accept-Encoding") != "" {
			t.Errorf("%s: %v", scheme, h)
		}
	}
}
