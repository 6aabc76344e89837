package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// localFunc is a Local that is a function.
type localFunc func(w http.ResponseWriter, r *http.Request, c auth.Caller) auth.Outcome

func (f localFunc) ServeLocal(w http.ResponseWriter, r *http.Request, c auth.Caller) auth.Outcome {
	return f(w, r, c)
}

func localRoute(path string, mode auth.Mode, f localFunc) *Route {
	return &Route{Name: "tokens", Pattern: path, Policy: &auth.Policy{Route: "tokens", Mode: mode}, MaxBodyBytes: 16, Local: f}
}

func TestLocalAnswersInPlaceOfAnUpstream(t *testing.T) {
	var seen auth.Caller
	g := newGateway(t, func(s *setup) {
		trustLoopback(s)
		s.routes = append(s.routes, localRoute("/oauth2/token", auth.None, func(w http.ResponseWriter, r *http.Request, c auth.Caller) auth.Outcome {
			seen = c
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write(append([]byte(r.Method+" "), body...))
			return auth.Outcome{Reason: auth.GrantInvalid, Subject: "alice", TokenID: "j9"}
		}))
	})
	a := g.raw("POST /oauth2/token HTTP/1.1\r\nHost: gw.example\r\nX-Forwarded-For: 203.0.113.9\r\nAuthorization: Bearer abc\r\nContent-Length: 5\r\n\r\nhello")
	if a.StatusCode != http.StatusTeapot || a.body != "POST hello" || a.Header.Get("X-Request-Id") != seen.RequestID {
		t.Errorf("%d %q %v", a.StatusCode, a.body, a.Header)
	}
	if seen.Address != netip.MustParseAddr("203.0.113.9") || seen.Decision.Reason != auth.OK || seen.Credentials != auth.BearerCredentials("abc") {
		t.Errorf("caller %+v", seen)
	}
	if r := g.last(); r != nil {
		t.Errorf("the upstream received %s %s", r.Method, r.URL)
	}
	line := g.accessLine()
	for name, want := range map[string]any{
		"route": "tokens", "status": 418.0, "sub": "alice", "jti": "j9", "result": "denied", "reason": "grant_invalid", "client_ip": "203.0.113.9",
	} {
		if line[name] != want {
			t.Errorf("%s is logged as %v, want %v", name, line[name], want)
		}
	}
	if got := g.counts.requests; len(got) != 1 || got[0] != (observed{"POST", 418}) {
		t.Errorf("counted %v", got)
	}
	// Beside the path, everything goes where it went.
	for _, target := range []string{"/oauth2/token/", "/oauth2/toke", "/oauth2/token/x", "/OAUTH2/token"} {
		if a := g.get(target); a.body != "hello" {
			t.Errorf("%s: %d %q", target, a.StatusCode, a.body)
		}
	}
	if a := g.get("/oauth2/%74oken"); a.StatusCode != http.StatusTeapot {
		t.Errorf("the same path in another spelling: %d", a.StatusCode)
	}
}

func TestLocalIsToldWhyThePolicyRefuses(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{localRoute("/t", auth.APIKeyOnly, func(w http.ResponseWriter, _ *http.Request, c auth.Caller) auth.Outcome {
			w.WriteHeader(c.Decision.Reason.Status())
			return auth.Outcome{Reason: c.Decision.Reason}
		})}
	})
	for key, want := range map[string]int{"X-Other: 1": 401, "Api-Key: nonsense": 401, "Api-Key: " + apiKey: 200} {
		if a := g.get("/t", key); a.StatusCode != want {
			t.Errorf("%q: %d, want %d", key, a.StatusCode, want)
		}
	}
}

// A body that cannot be read comes with its reason.
func TestA10LocalBodiesAreBounded(t *testing.T) {
	reasons := make(chan auth.Reason, 1)
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{localRoute("/t", auth.None, func(w http.ResponseWriter, r *http.Request, _ auth.Caller) auth.Outcome {
			reason := auth.OK
			if _, err := io.ReadAll(r.Body); err != nil && !errors.As(err, &reason) {
				reason = auth.Undecided
			}
			reasons <- reason
			w.WriteHeader(reason.Status())
			return auth.Outcome{Reason: auth.GrantInvalid}
		})}
	})
	const head = "POST /t HTTP/1.1\r\nHost: gw.example\r\n"
	for request, want := range map[string]auth.Reason{
		head + "Content-Length: 16\r\n\r\n0123456789abcdef":                                             auth.OK,
		head + "Content-Length: 17\r\n\r\n0123456789abcdefg":                                            auth.RequestTooLarge,
		head + "Transfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n":                 auth.RequestTooLarge,
		head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n0123456789abcdefg\r\n0\r\n\r\n":                 auth.RequestMalformed,
		"GET /t HTTP/1.1\r\nHost: gw.example\r\n\r\n":                                                   auth.OK,
		head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":                              auth.OK,
		"POST /t HTTP/1.1\r\nHost: gw.example\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n": auth.RequestTooLarge,
	} {
		a := g.raw(request)
		if got := <-reasons; got != want || a.StatusCode != want.Status() {
			t.Errorf("%.90q: %s, %d, want %s", request, got, a.StatusCode, want)
		}
		logged := auth.GrantInvalid
		if want == auth.RequestMalformed { // which nobody else sees
			logged = want
		}
		if line := g.accessLine(); line["reason"] != logged.String() {
			t.Errorf("%.90q: logged %v", request, line)
		}
	}
}

func TestLocalKeepsConnections(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{localRoute("/t", auth.None, func(http.ResponseWriter, *http.Request, auth.Caller) auth.Outcome { return auth.Outcome{} })}
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	for r := bufio.NewReader(conn); len(g.counts.requests) < 2; <-g.done {
		_, _ = io.WriteString(conn, "GET /t HTTP/1.1\r\nHost: h\r\n\r\n")
		if res, err := http.ReadResponse(r, nil); err != nil || res.Close {
			t.Fatal(res, err)
		}
	}
}

func TestA15LocalPathsClashWithNoRoute(t *testing.T) {
	answer := localFunc(func(http.ResponseWriter, *http.Request, auth.Caller) auth.Outcome { return auth.Outcome{} })
	other := func(pattern string) *Route {
		r := route("other", pattern, auth.None)
		r.Upstreams = []Upstream{{URL: must(url.Parse("http://127.0.0.1:1"))}}
		return r
	}
	for pattern, clash := range map[string]bool{
		"/oauth2/token": true, "POST /oauth2/token": true, "api.example/oauth2/token": true, "GET api.example/oauth2/token": true,
		"/": false, "/oauth2/": false, "/oauth2/{x}": false, "api.example/": false, "/oauth2/token/": false, "/oauth2/tokens": false,
	} {
		_, err := NewTable([]*Route{other(pattern), localRoute("/oauth2/token", auth.None, answer)})
		if (err != nil) != clash {
			t.Errorf("%s: %v", pattern, err)
		}
		if err != nil && (!strings.Contains(err.Error(), `"other"`) || !strings.Contains(err.Error(), `"tokens"`)) {
			t.Errorf("%s: the error does not name both: %v", pattern, err)
		}
	}
	if _, err := NewTable([]*Route{localRoute("/t", auth.None, answer), localRoute("/t", auth.None, answer)}); err == nil {
		t.Error("one path is served twice")
	}
	for _, path := range []string{"", "t", "/t/", "/a//b", "/a/../b", "/%74", "/a b", "/{x}", "/a?b"} {
		if _, err := NewTable([]*Route{localRoute(path, auth.None, answer)}); err == nil {
			t.Errorf("%q is taken for an exact path", path)
		}
	}
	r := localRoute("/t", auth.None, answer)
	r.Policy = nil
	if _, err := NewTable([]*Route{r}); err == nil {
		t.Error("a local route without a policy")
	}
}

func TestLocalIsExplained(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{localRoute("/t", auth.APIKeyOnly, func(http.ResponseWriter, *http.Request, auth.Caller) auth.Outcome {
			t.Error("an explanation is no request")
			return auth.Outcome{}
		})}
	})
	r := httptest.NewRequest(http.MethodPost, "/t", nil)
	r.Header.Set("Api-Key", apiKey)
	e := g.state.Explain(r, time.Now())
	if !e.Allowed || e.Route != "tokens" || e.Forwarded != "" || len(e.Upstreams) > 0 || len(e.Added) > 0 {
		t.Errorf("%+v", e)
	}
}

// An answer that did not wait for the request's body, whoever made it and even
// in a panic, must not turn the rest of the body into a request.
func TestS10LocalAnswerWithoutTheBody(t *testing.T) {
	t.Parallel()
	const inner = "GET /inner HTTP/1.1\r\nHost: h\r\nX_user_id: root\r\n\r\n"
	g := newGateway(t, func(s *setup) {
		s.state.BodyIdleTimeout = 200 * time.Millisecond
		s.routes = append(s.routes, localRoute("/unread", auth.None, func(w http.ResponseWriter, _ *http.Request, _ auth.Caller) auth.Outcome {
			w.WriteHeader(http.StatusNoContent)
			return auth.Outcome{}
		}), localRoute("/panics", auth.None, func(w http.ResponseWriter, _ *http.Request, _ auth.Caller) auth.Outcome {
			w.Header().Set("Set-Cookie", "half=done")
			panic("a fault of ours")
		}))
		s.routes[1].MaxBodyBytes, s.routes[2].MaxBodyBytes = 0, 0
	})
	for path, want := range map[string]int{"/unread": 204, "/panics": 500} {
		for _, framing := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\nx", 1+len(inner)),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\nx", 1+len(inner)),
		} {
			conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
			_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: h\r\n"+framing)
			<-g.done
			// When the time for the body is over. A good gateway has closed by then.
			late := time.AfterFunc(time.Second, func() { _, _ = io.WriteString(conn, inner) })
			read, err := io.ReadAll(conn)
			all := string(read)
			late.Stop()
			if !strings.HasPrefix(all, fmt.Sprintf("HTTP/1.1 %d ", want)) || strings.Count(all, "HTTP/1.1 ") != 1 || strings.Contains(all, "half") || err != nil || len(g.done) > 0 {
				t.Errorf("%s %q: %q %v", path, framing, all, err)
			}
		}
	}
	if r := g.last(); r != nil {
		t.Errorf("the upstream received %s %s", r.Method, r.URL)
	}
}
