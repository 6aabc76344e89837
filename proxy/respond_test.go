package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// renewing starts a gateway whose only route renews, in front of the upstream.
func renewing(t *testing.T, upstream http.HandlerFunc) *gateway {
	return newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.upstream = upstream
	})
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func bearer() string {
	return "Authorization: Bearer " + token(map[string]any{"iat": time.Now().Unix() - 60})
}

func TestL01RenewedAnswerIsNotCached(t *testing.T) {
	g := renewing(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("CDN-Cache-Control", "max-age=3600")
		h.Set("Surrogate-Control", "max-age=3600")
		h.Set("Vary", "Origin")
		h.Add("Set-Cookie", "a=1")
		h.Add("Set-Cookie", "b=2")
		h.Set("Access-Control-Expose-Headers", "*")
	})
	a := g.get("/", bearer())
	h := a.Header
	renewed, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	if a.StatusCode != 200 || !ok || len(h["Authorization"]) != 1 || strings.Count(renewed, ".") != 2 {
		t.Fatalf("%d %v", a.StatusCode, h)
	}
	if !slices.Equal(h["Cache-Control"], []string{"no-store"}) || h.Get("Cdn-Cache-Control")+h.Get("Surrogate-Control") != "" {
		t.Errorf("cached: %v", h)
	}
	if got := strings.Join(h["Vary"], ", "); got != "Origin, Authorization" {
		t.Errorf("Vary: %s", got)
	}
	if got := strings.Join(h["Access-Control-Expose-Headers"], ", "); got != "*, Authorization" {
		t.Errorf("exposed: %s", got)
	}
	if !slices.Equal(h["Set-Cookie"], []string{"a=1", "b=2"}) {
		t.Errorf("cookies: %v", h["Set-Cookie"])
	}
	// The new token opens the gate.
	if a := g.get("/", "Authorization: Bearer "+renewed); a.StatusCode != 200 {
		t.Errorf("renewed token: %d %s", a.StatusCode, a.body)
	}
	if g.counts.renewals[0] != auth.RenewMinted {
		t.Errorf("counted %v", g.counts.renewals)
	}
}

func TestListedNamesAreNotListedAgain(t *testing.T) {
	g := renewing(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Vary", "Origin, authorization")
		w.Header().Set("Access-Control-Expose-Headers", "AUTHORIZATION")
	})
	h := g.get("/", bearer()).Header
	if !slices.Equal(h["Vary"], []string{"Origin, authorization"}) || !slices.Equal(h["Access-Control-Expose-Headers"], []string{"AUTHORIZATION"}) {
		t.Errorf("%v", h)
	}
}

func TestFaultsOfTheWire(t *testing.T) {
	for _, c := range []struct {
		head   string
		status int
		code   string
	}{
		{"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "request_malformed"},
		{"GET /?" + strings.Repeat("q", 9<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414, "request_malformed"},
		{"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", 431, "request_too_large"},
		{"GET / HTTP/1.1\r\nHost: h\r\nX_User_Id: x\r\n\r\n", 400, "request_malformed"},
		{"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "request_malformed"},
		{"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505, "request_malformed"},
	} {
		g := newGateway(t, nil)
		a := g.raw(c.head)
		g.refused(a, c.status, c.code)
		if line := g.accessLine(); !a.Close || line["reason"] != c.code || line["status"] != float64(c.status) {
			t.Errorf("%.60q: close %v, logged %v", c.head, a.Close, line)
		}
	}
}

func TestL02WhereNoTokenIsPut(t *testing.T) {
	for code, want := range map[int]bool{
		200: true, 204: true, 206: true, 301: true, 302: true, 304: false, 400: false, 401: false, 404: false, 500: false, 503: false,
	} {
		g := renewing(t, status(code))
		a := g.get("/", bearer())
		if has := a.Header.Get("Authorization") != ""; a.StatusCode != code || has != want {
			t.Errorf("%d: got %d with token %v, want %v", code, a.StatusCode, has, want)
		}
		if !want && len(g.counts.renewals) > 0 {
			t.Errorf("%d: a token was made", code)
		}
	}
	g := renewing(t, nil)
	a := g.raw("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + bearer() + "\r\n\r\n")
	if a.Header.Get("Authorization") == "" || a.body != "" {
		t.Errorf("HEAD: %v %q", a.Header, a.body)
	}
}

func TestL02EarlyHints(t *testing.T) {
	g := renewing(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Link", "</style.css>; rel=preload")
		h.Set("Authorization", "Bearer of-the-upstream")
		h.Set("X-User-Id", "somebody")
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Link")
		h.Set("X-Final", "1")
		_, _ = io.WriteString(w, "body")
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+bearer()+"\r\n\r\n")
	r := bufio.NewReader(conn)
	for _, want := range []int{102, 103, 200} {
		res := must(http.ReadResponse(r, nil))
		if res.StatusCode != want {
			t.Fatalf("%d, want %d", res.StatusCode, want)
		}
		token := res.Header.Values("Authorization")
		if want < 200 {
			if len(token) > 0 || res.Header.Get("X-User-Id") != "" || res.Header.Get("Link") == "" {
				t.Errorf("%d: %v", want, res.Header)
			}
			continue
		}
		if len(token) != 1 || strings.Contains(token[0], "upstream") || res.Header.Get("X-Final") == "" ||
			res.Header.Get("X-User-Id") != "" || len(res.Header.Values("X-Request-Id")) != 1 {
			t.Errorf("final: %v", res.Header)
		}
	}
}

func TestInformationalAnswersAreNotForHTTP10(t *testing.T) {
	g := renewing(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(200) })
	if a := g.raw("GET / HTTP/1.0\r\nHost: h\r\n" + bearer() + "\r\n\r\n"); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}

func TestContinueOfTheUpstreamIsNotTheClients(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes[0].Upstreams = script(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	if a := g.get("/"); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}

func TestL03AuthorizationOfTheUpstream(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Authorization", "Bearer of-the-upstream")
	}
	if got := renewing(t, upstream).get("/", bearer()).Header["Authorization"]; len(got) != 1 || strings.Contains(got[0], "upstream") {
		t.Errorf("renewed: %q", got)
	}
	g := newGateway(t, func(s *setup) { s.upstream = upstream })
	if got := g.get("/").Header["Authorization"]; got != nil {
		t.Errorf("open route: %q", got)
	}
}

func TestH14ManagedNamesInAnswers(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.upstream = func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Trailer", "X-Sum, Authorization, X-User-Id")
			for _, name := range []string{"X-User-Id", "X-User-Email", "x_user_id", "X-Client-Id", "Api-Key", "Authorization"} {
				h[name] = []string{"leak"}
			}
			_, _ = io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			h.Set("X-Sum", "42")
			h.Set(http.TrailerPrefix+"X-Client-Id", "leak")
		}
	})
	a := g.get("/")
	for _, h := range []http.Header{a.Header, a.Trailer} {
		for name, values := range h {
			if slices.Contains(values, "leak") {
				t.Errorf("%s passes", name)
			}
		}
	}
	if a.body != "body" || a.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%q, trailers %v", a.body, a.Trailer)
	}
}

func TestL06SessionCap(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.renew = &auth.RenewPolicy{MaxSession: time.Minute}
	})
	now := time.Now().Unix()
	a := g.get("/", "Authorization: Bearer "+token(map[string]any{"iat": now - 300, "auth_time": now - 300}))
	if a.StatusCode != 200 || a.Header.Get("Authorization") != "" || !slices.Equal(g.counts.renewals, []auth.RenewResult{auth.RenewCapped}) {
		t.Errorf("%d %v %v", a.StatusCode, a.Header, g.counts.renewals)
	}
}

func TestFailedRenewalHarmsNothing(t *testing.T) {
	g := renewing(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "private") })
	claims := map[string]any{"iat": nil}
	a := g.get("/", "Authorization: Bearer "+token(claims))
	if a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	<-g.done
	if a.Header.Get("Authorization") != "" || a.Header.Get("Cache-Control") != "private" ||
		!slices.Equal(g.counts.renewals, []auth.RenewResult{auth.RenewFailed}) || !strings.Contains(g.log.String(), "token not renewed") {
		t.Errorf("%v %v %s", a.Header, g.counts.renewals, g.log)
	}
}

func TestL09DenialsAreNotCached(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.routes[0].Policy.Scopes = []string{"orders:read", "orders:write"}
	})
	g.refused(g.get("/"), http.StatusUnauthorized, "token_missing")
	g.refused(g.get("/", bearer()), http.StatusForbidden, "scope_insufficient")
}

func TestChallenges(t *testing.T) {
	const invalid = `Bearer error="invalid_token", error_description="The bearer token is malformed"`
	key, good := "Api-Key: "+apiKey, "Authorization: Bearer "+token(nil)
	for _, c := range []struct {
		mode   auth.Mode
		scopes []string
		lines  []string
		code   string
		want   []string
	}{
		{auth.BearerOnly, nil, nil, "token_missing", []string{"Bearer"}},
		{auth.BearerOnly, nil, []string{"Authorization: Basic eA=="}, "token_missing", []string{"Bearer"}},
		{auth.BearerOnly, nil, []string{"Authorization: Bearer x"}, "token_malformed", []string{invalid}},
		{auth.BearerOnly, []string{"a", "b"}, []string{good}, "scope_insufficient", []string{
			`Bearer error="insufficient_scope", error_description="The bearer token lacks a scope", scope="a b"`,
		}},
		{auth.APIKeyOnly, nil, nil, "api_key_missing", []string{`ApiKey header="Api-Key"`}},
		{auth.APIKeyOnly, nil, []string{"Api-Key: wrong"}, "api_key_invalid", []string{`ApiKey header="Api-Key"`}},
		{auth.Both, nil, []string{good}, "api_key_missing", []string{`ApiKey header="Api-Key"`, "Bearer"}},
		{auth.Both, nil, []string{key}, "token_missing", []string{"Bearer"}},
		{auth.Any, nil, nil, "token_missing", []string{"Bearer", `ApiKey header="Api-Key"`}},
		{auth.Any, nil, []string{key, "Authorization: Bearer x"}, "token_malformed", []string{invalid}},
		{auth.Any, nil, []string{"Api-Key: wrong"}, "api_key_invalid", []string{`ApiKey header="Api-Key"`, "Bearer"}},
	} {
		g := newGateway(t, func(s *setup) {
			s.routes = []*Route{route("all", "/", c.mode)}
			s.routes[0].Policy.Scopes = c.scopes
		})
		a := g.get("/", c.lines...)
		want := http.StatusUnauthorized
		if c.code == "scope_insufficient" {
			want = http.StatusForbidden
		}
		g.refused(a, want, c.code)
		if got := a.Header["Www-Authenticate"]; !slices.Equal(got, c.want) {
			t.Errorf("%v %q: %q, want %q", c.mode, c.lines, got, c.want)
		}
	}
}

func TestUnavailableIsToBeRetried(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.BearerOnly)} })
	g.revoked.mu.Lock()
	g.revoked.stale = true
	g.revoked.mu.Unlock()
	a := g.get("/", "Authorization: Bearer "+token(nil))
	g.refused(a, http.StatusServiceUnavailable, "revocation_stale")
	if a.Header.Get("Retry-After") != "1" || a.Header.Get("Www-Authenticate") != "" {
		t.Errorf("%v", a.Header)
	}
}

func TestHeadProblemHasNoBody(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/x", auth.None)} })
	a := g.raw("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if a.StatusCode != 404 || a.body != "" || a.ContentLength <= 0 {
		t.Errorf("%d %q %d", a.StatusCode, a.body, a.ContentLength)
	}
}

func TestEventsAreStreamed(t *testing.T) {
	next := make(chan struct{})
	for kind, length := range map[string]string{
		"text/event-stream": "", "application/x-ndjson": "", "": "", "Text/Event-Stream ; charset=utf-8": "27", "text/event-stream;a=b": "27",
	} {
		g := newGateway(t, func(s *setup) {
			s.upstream = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				for range 3 {
					_, _ = io.WriteString(w, "data: x\n\n")
					w.(http.Flusher).Flush()
					<-next
				}
			}
		})
		res := must((&http.Client{Timeout: 20 * time.Second}).Get(g.server.URL))
		r := bufio.NewReader(res.Body)
		for range 3 { // each must be here before the next is sent
			if line := must(r.ReadString('\n')); line != "data: x\n" {
				t.Errorf("%s: %q", kind, line)
			}
			_ = must(r.ReadString('\n'))
			next <- struct{}{}
		}
		if got := res.Header["Content-Type"]; kind != "" && !slices.Equal(got, []string{kind}) {
			t.Errorf("%s: %q", kind, got)
		}
		res.Body.Close()
	}
}

func TestBodilessAnswers(t *testing.T) {
	for _, code := range []int{204, 304} {
		a := newGateway(t, func(s *setup) { s.upstream = status(code) }).get("/")
		if a.StatusCode != code || a.body != "" || len(a.TransferEncoding) > 0 {
			t.Errorf("%d: %d %q %v", code, a.StatusCode, a.body, a.TransferEncoding)
		}
	}
}
