package proxy

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// canned answers at once, so that a benchmark sees the proxy alone.
type canned struct{}

func (canned) RoundTrip(r *http.Request) (*http.Response, error) {
	exchangeOf(r.Context()).sent = r.Header // as transports has it
	return &http.Response{
		StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: 1024,
		Header: http.Header{
			"Content-Type": {"text/plain"}, "Content-Length": {"1024"}, "Date": {"Sun, 22 Nov 2026 08:00:00 GMT"},
			"Cache-Control": {"private"}, "Etag": {`"x"`}, "Server": {"up"},
		},
		Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 1024))),
	}, nil
}

// sink is a ResponseWriter that forgets.
type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// browserRequest is what a browser sends, with both credentials.
func browserRequest(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, "GET", "/api/orders/17?expand=items", nil)
	r.Body, r.ContentLength = http.NoBody, 0
	r.Host = "shop.example"
	for _, line := range []string{
		"Accept: application/json", "Accept-Encoding: gzip, br", "Accept-Language: en-GB,en;q=0.9", "Cache-Control: no-cache",
		"Connection: keep-alive", "Cookie: a=b; c=d", "Origin: https://shop.example", "Referer: https://shop.example/",
		"Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-site", "Sec-Ch-Ua-Mobile: ?0", "User-Agent: Mozilla/5.0",
		"Api-Key: " + apiKey, "Authorization: Bearer " + token(nil),
	} {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}

type nothing struct{}

func (nothing) Request(string, int, time.Duration) {}
func (nothing) Decision(auth.Reason)               {}
func (nothing) Upstream(time.Duration)             {}

func BenchmarkHandler(b *testing.B) {
	for _, bench := range []struct {
		name      string
		accessLog bool
	}{{"quiet", false}, {"access-log", true}} {
		b.Run(bench.name, func(b *testing.B) {
			g := newGateway(&testing.T{}, func(s *setup) {
				s.routes = []*Route{route("other", "/", auth.None), route("api", "/api/", auth.Both)}
				s.routes[1].Policy.Renew = false
				s.routes[1].Timeout = 30 * time.Second
				s.state.AccessLog = bench.accessLog
			})
			defer g.server.Close()
			defer g.upstream.Close()
			for _, s := range append(g.state.table.routes, &served{}) {
				s.observer = nothing{}
			}
			g.handler.log = slog.New(slog.NewJSONHandler(io.Discard, nil))
			g.handler.proxy.Transport = canned{}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			r, w := browserRequest(ctx), &sink{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				g.handler.ServeHTTP(w, r)
			}
			if w.h.Get("Etag") == "" {
				b.Fatalf("not forwarded: %v", w.h)
			}
		})
	}
}

// BenchmarkBareReverseProxy is what BenchmarkHandler is measured against.
func BenchmarkBareReverseProxy(b *testing.B) {
	target := must(url.Parse("http://127.0.0.1:9000"))
	p := &httputil.ReverseProxy{
		Rewrite:   func(pr *httputil.ProxyRequest) { pr.SetURL(target); pr.SetXForwarded() },
		Transport: canned{}, BufferPool: &buffers{}, ErrorLog: log.New(io.Discard, "", 0),
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := browserRequest(ctx), &sink{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.h)
		p.ServeHTTP(w, r)
	}
}

func BenchmarkMatch(b *testing.B) {
	routes := []*Route{}
	for _, p := range []string{"/", "/api/orders/", "GET /api/users/"} {
		routes = append(routes, &Route{Name: p, Pattern: p, Policy: &auth.Policy{}, Upstreams: testUpstream})
	}
	table, p := must(NewTable(routes)), canonical{"/api/orders/17", "/api/orders/17"}
	b.ReportAllocs()
	for b.Loop() {
		table.match("GET", "gw.example:8080", p)
	}
}

func BenchmarkExtractAndDecide(b *testing.B) {
	g := newGateway(&testing.T{}, func(s *setup) { s.routes = []*Route{route("api", "/", auth.Both)} })
	defer g.server.Close()
	defer g.upstream.Close()
	r, now := browserRequest(context.Background()), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if d := g.state.gate.Decide(g.state.table.routes[0].Policy, auth.Extract(r.Header, "Api-Key"), now); d.Reason != auth.OK {
			b.Fatal(d.Reason)
		}
	}
}

func TestD13AnswersWhileDrainingCloseTheirConnection(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = append(s.routes, route("shut", "/shut", auth.Both)) })
	for _, draining := range []bool{false, true} {
		if draining {
			g.handler.Drain()
		}
		for path, status := range map[string]int{"/": 200, "/shut": 401} {
			res := must(http.Get(g.server.URL + path))
			res.Body.Close()
			if res.StatusCode != status || res.Close != draining {
				t.Errorf("draining %t: %s answers %d, closes %t", draining, path, res.StatusCode, res.Close)
			}
		}
	}
}

// Over HTTP/2 such an answer sends a GOAWAY: the next call is on another
// connection.
func TestD13HTTP2ClientsMoveWhileDraining(t *testing.T) {
	g := newGateway(t, nil)
	client := clients(t)["HTTP/2"]
	var reused bool
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	call := func() bool {
		res := must(client.Do(must(http.NewRequestWithContext(ctx, http.MethodGet, g.server.URL, nil))))
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		<-g.done
		return reused
	}
	if call() || !call() {
		t.Fatal("connections are not kept")
	}
	g.handler.Drain()
	call()
	for deadline := time.Now().Add(5 * time.Second); call(); {
		if time.Now().After(deadline) {
			t.Fatal("the connection is still used")
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []Config{{}, {State: func() *State { return nil }}, {Log: slog.New(slog.DiscardHandler)}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("a handler of %+v", cfg)
		}
	}
	good := func() StateConfig {
		r := route("r", "/", auth.None)
		r.Upstreams = testUpstream
		return StateConfig{
			Gate: &auth.Gate{}, APIKeyHeader: "Api-Key", Routes: []*Route{r},
			Observer: func(string) Observer { return nothing{} }, Renewal: func(string, auth.RenewResult) {},
		}
	}
	if _, err := NewState(good()); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*StateConfig){
		"needs a gate":              func(c *StateConfig) { c.Gate = nil },
		"an observer":               func(c *StateConfig) { c.Observer = nil },
		"a renewal counter":         func(c *StateConfig) { c.Renewal = nil },
		"the API key's header":      func(c *StateConfig) { c.APIKeyHeader = "" },
		`route "r": `:               func(c *StateConfig) { c.Routes[0].Pattern = "x" },
		`want it in canonical form`: func(c *StateConfig) { c.Routes[0].Policy.Forward.APIKeyHeader = "x-user-id" },
		`has 1 to 63 letters`:       func(c *StateConfig) { c.Routes[0].Policy.Forward.APIKeyHeader = "X" + strings.Repeat("x", 63) },
	} {
		c := good()
		spoil(&c)
		if _, err := NewState(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Each route counts for itself, and requests without one for none.
func TestObserverOfEachRoute(t *testing.T) {
	var asked []string
	g := newGateway(t, nil)
	r := route("r", "/", auth.None)
	r.Upstreams = testUpstream
	s := must(NewState(StateConfig{
		Gate: g.state.gate, APIKeyHeader: "Api-Key", Routes: []*Route{r}, Renewal: func(string, auth.RenewResult) {},
		Observer: func(name string) Observer { asked = append(asked, name); return &counts{} },
	}))
	if !slices.Equal(asked, []string{"", "r"}) || s.unrouted == s.table.routes[0].observer {
		t.Errorf("observers of %q", asked)
	}
}

// A request that did not come through the checked listener, as those of HTTP/2,
// is checked by the handler.
func TestRequestsOfOtherListenersAreChecked(t *testing.T) {
	g := newGateway(t, nil)
	for name, change := range map[string]func(*http.Request){
		"name":   func(r *http.Request) { r.Header["X_User_Id"] = []string{"admin"} },
		"host":   func(r *http.Request) { r.Host = "a b" },
		"target": func(r *http.Request) { r.RequestURI = "/#" },
	} {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		change(r)
		g.handler.ServeHTTP(w, r)
		if w.Code != 400 || w.Header().Get("Connection") != "close" || g.receivedSoFar() != 0 {
			t.Errorf("%s: %d, the upstream received %d", name, w.Code, g.receivedSoFar())
		}
	}
}
