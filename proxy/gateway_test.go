package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/proxy/wire"
)

const apiKey = "gh_test-key"

var secret = []byte("0123456789abcdef0123456789abcdef-not-the-sample")

// revocations is a revocation list made by hand.
type revocations struct {
	mu      sync.Mutex
	revoked map[auth.RevocationKey]bool
	unsure  bool  // only the store knows
	err     error // of the store
	stale   bool
}

func (r *revocations) Covers(_ auth.Kind, key auth.RevocationKey, _, _ int64) auth.Coverage {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.unsure:
		return auth.Unsure
	case r.revoked[key]:
		return auth.Covered
	}
	return auth.NotCovered
}

func (r *revocations) Confirm(ctx context.Context, e auth.Revocation, _, _ int64) (auth.Coverage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err == context.DeadlineExceeded:
		if p, ok := ctx.Value(patience{}).(*[]time.Duration); ok {
			until, _ := ctx.Deadline()
			*p = append(*p, max(0, time.Until(until)))
		}
		r.mu.Unlock()
		<-ctx.Done()
		r.mu.Lock()
		return auth.Unsure, r.err
	case r.err != nil:
		return auth.Unsure, r.err
	case r.revoked[e.Key()]:
		return auth.Covered, nil
	}
	return auth.NotCovered, ctx.Err()
}

// patience is where a context has for how long each question to a store that
// hangs is going to wait.
type patience struct{}

func (r *revocations) Stale(time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale
}

// doubt makes the list unsure of everything, and the store that is then asked
// answer with an error; context.DeadlineExceeded: not at all.
func (r *revocations) doubt(unsure bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsure, r.err = unsure, err
}

func (r *revocations) revoke(kind auth.Kind, issuer, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revoked[auth.NewRevocationKey(kind, issuer, id)] = true
}

// counts is an Observer that keeps everything.
type counts struct {
	mu        sync.Mutex
	requests  []observed
	decisions []auth.Reason
	upstream  int
	renewals  []auth.RenewResult
}

type observed struct {
	method string
	status int
}

func (c *counts) Request(method string, status int, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, observed{method, status})
}

func (c *counts) Decision(r auth.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decisions = append(c.decisions, r)
}

func (c *counts) Upstream(time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upstream++
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// gateway is a Handler behind a real server, in front of a real upstream.
type gateway struct {
	t        *testing.T
	handler  *Handler
	state    *State
	server   *httptest.Server
	upstream *httptest.Server
	issuer   *auth.Issuer
	revoked  *revocations
	counts   *counts
	log      *syncBuffer
	ahead    atomic.Int64 // how far the handler's clock is ahead of time, see pass

	mu       sync.Mutex
	received []*http.Request // by the upstream
	done     chan struct{}   // gets one value for each request that the handler is done with
}

// setup is what a test changes about a gateway before it starts.
type setup struct {
	routes   []*Route
	state    StateConfig
	renew    *auth.RenewPolicy
	upstream http.HandlerFunc // nil: 200 "hello"
	scheme   string           // of the upstream's URL; empty: http
	now      func() time.Time
}

// newGateway starts a gateway with one route, `/`, unless the test says other.
func newGateway(t *testing.T, change func(*setup)) *gateway {
	t.Helper()
	g := &gateway{
		t: t, counts: &counts{}, log: &syncBuffer{}, done: make(chan struct{}, 1000),
		revoked: &revocations{revoked: map[auth.RevocationKey]bool{}},
	}
	g.upstream = httptest.NewUnstartedServer(nil)
	target := &url.URL{Scheme: "http", Host: g.upstream.Listener.Addr().String()}
	s := &setup{renew: &auth.RenewPolicy{MaxSession: time.Hour}}
	s.state = StateConfig{APIKeyHeader: "api-key", AccessLog: true, BodyIdleTimeout: 10 * time.Second}
	s.routes = []*Route{route("all", "/", auth.None)}
	if change != nil {
		change(s)
	}
	g.upstream.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.received = append(g.received, r.Clone(context.Background()))
		g.mu.Unlock()
		if s.upstream != nil {
			s.upstream(w, r)
			return
		}
		_, _ = io.WriteString(w, "hello")
	})
	target.Scheme = cmp.Or(s.scheme, target.Scheme)
	g.upstream.Config.Protocols = withH2C()
	g.upstream.Start()
	t.Cleanup(g.upstream.Close)

	key := must(auth.NewSecretKey("k1", "HS256", secret))
	g.issuer = &auth.Issuer{
		Name: "main", Issuer: "https://issuer.example", Audiences: []string{"api"}, Keys: auth.NewStaticKeys([]*auth.Key{key}),
		MaxTokenBytes: 4096, MaxTokenLife: 24 * time.Hour, SubjectClaim: "sub", Required: []string{"sub"}, Renew: s.renew,
	}
	keys := auth.NewAPIKeys([]auth.APIKey{{ID: "web", SHA256: sha256.Sum256([]byte(apiKey))}}, nil)
	s.state.Gate = must(auth.NewGate(auth.GateConfig{
		APIKeys: keys, Issuers: []*auth.Issuer{g.issuer}, Revocations: g.revoked, CacheBytes: 1 << 20,
	}))
	for _, r := range s.routes {
		r.Policy.Issuers = []*auth.Issuer{g.issuer}
		if r.Upstreams == nil {
			r.Upstreams = []Upstream{{URL: target}}
		}
	}
	s.state.Routes = s.routes
	s.state.Observer = func(string) Observer { return g.counts }
	s.state.Renewal = func(_ string, r auth.RenewResult) {
		g.counts.mu.Lock()
		defer g.counts.mu.Unlock()
		g.counts.renewals = append(g.counts.renewals, r)
	}
	g.state = must(NewState(s.state))
	if s.now == nil {
		s.now = func() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) }
	}
	g.handler = must(New(Config{
		State: func() *State { return g.state }, Now: s.now,
		Log:    slog.New(slog.NewJSONHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Access: AccessLog{Out: g.log},
	}))
	t.Cleanup(g.handler.transport.CloseIdleConnections)
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { g.done <- struct{}{} }()
		g.handler.ServeHTTP(w, r)
	}))
	g.server.Listener = must(wire.NewListener(g.server.Listener, wire.Config{
		MaxHeaderBytes: 32 << 10, ReadHeaderTimeout: 5 * time.Second, H2C: true, Log: slog.New(slog.DiscardHandler),
	}))
	g.server.Config.Protocols = withH2C()
	g.server.Config.ConnContext, g.server.Config.ConnState = ConnContext, wire.ConnState
	g.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	g.server.Config.DisableGeneralOptionsHandler = true
	g.server.Start()
	t.Cleanup(g.server.Close)
	return g
}

// withH2C are HTTP/1 and HTTP/2 on one plain port.
func withH2C() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

// route returns a route that forwards the usual identity headers.
func route(name, pattern string, mode auth.Mode) *Route {
	return &Route{Name: name, Pattern: pattern, Policy: &auth.Policy{
		Route: name, Mode: mode, Renew: true,
		Forward: &auth.Forward{
			Claims:       []auth.ClaimHeader{{Claim: "sub", Header: "X-User-Id"}, {Claim: "email", Header: "X-User-Email"}},
			APIKeyHeader: "X-Client-Id",
		},
	}}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// token signs a good token, changed by the claims given; nil takes one out.
func token(changes map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": "https://issuer.example", "aud": "api", "sub": "alice", "iat": now, "exp": now + 600, "jti": "j1", "sid": "s1",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return must(auth.Sign(must(auth.NewSecretKey("k1", "HS256", secret)), "JWT", claims))
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// raw sends bytes as they are on a new connection and reads the final answer.
func (g *gateway) raw(request string) answer {
	g.t.Helper()
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		g.t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		g.t.Fatalf("no answer to %.100q: %v", request, err)
	}
	body, _ := io.ReadAll(res.Body)
	return answer{res, string(body)}
}

// get sends a GET with header lines.
func (g *gateway) get(target string, lines ...string) answer {
	g.t.Helper()
	return g.raw("GET " + target + " HTTP/1.1\r\nHost: gw.example\r\nConnection: close\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n")
}

// pass has that much time pass for the handler, at once.
func (g *gateway) pass(d time.Duration) { g.ahead.Add(int64(d)) }

// forget forgets what the upstream has got.
func (g *gateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.received = nil
}

// receivedSoFar is how many requests the upstream has got.
func (g *gateway) receivedSoFar() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.received)
}

// last returns the last request that reached the upstream, nil when none did.
func (g *gateway) last() *http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.received) == 0 {
		return nil
	}
	return g.received[len(g.received)-1]
}

// refused checks an answer of ours, and that the upstream got nothing.
func (g *gateway) refused(a answer, status int, code string) {
	g.t.Helper()
	var p struct {
		Type, Title, Code string
		Status            int
		RequestID         string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &p); a.Request.Method != http.MethodHead && err != nil {
		g.t.Fatalf("answer is no problem: %v %q", err, a.body)
	}
	if a.StatusCode != status || p.Status != status || p.Code != code || p.Type != "urn:gatehouse:problem:"+code || p.Title == "" {
		g.t.Errorf("got %d %s, want %d %s", a.StatusCode, a.body, status, code)
	}
	if a.Header.Get("Content-Type") != "application/problem+json" || a.Header.Get("Cache-Control") != "no-store" ||
		p.RequestID == "" || a.Header.Get("X-Request-Id") != p.RequestID {
		g.t.Errorf("header of the problem: %v", a.Header)
	}
	if r := g.last(); r != nil {
		g.t.Errorf("the upstream received %s %s", r.Method, r.URL)
	}
}

// accessLine waits for a request to be over and returns the last log line.
func (g *gateway) accessLine() map[string]any {
	g.t.Helper()
	<-g.done
	var last map[string]any
	for line := range strings.Lines(g.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			g.t.Fatal(err)
		}
		if m["msg"] == "request" {
			last = m
		}
	}
	if last == nil {
		g.t.Fatal("no access line")
	}
	return last
}

func trustLoopback(s *setup) {
	s.state.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
}
