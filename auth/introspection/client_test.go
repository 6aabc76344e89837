package introspection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/test/loopback"
)

// rig is a client of a server that answers as handle says.
type rig struct {
	*Client
	server *httptest.Server

	mu      sync.Mutex
	handle  http.HandlerFunc
	asked   []*http.Request // with their forms read
	results []auth.IntrospectionResult
	now     time.Time
	log     bytes.Buffer
}

// newRig starts a server that says that every token is good.
func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	r := &rig{now: time.Unix(1_800_000_000, 700_000_000)}
	r.answer(http.StatusOK, "application/json", `{"active":true,"sub":"u1"}`)
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_ = q.ParseForm()
		r.mu.Lock()
		r.asked = append(r.asked, q)
		handle := r.handle
		r.mu.Unlock()
		handle(w, q)
	}))
	_ = r.server.Listener.Close()
	r.server.Listener = listen(t, loopback.Address()) // to which it can come back
	r.server.Start()
	t.Cleanup(r.server.Close)
	cfg := Config{
		Issuer: "afar", URL: r.server.URL + "/introspect?tenant=1", ClientID: "us:1", ClientSecret: "s%c ret", Timeout: 5 * time.Second,
		Cache: 30 * time.Second, MaxCalls: 4, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Observe: func(result auth.IntrospectionResult, _ time.Duration) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.results = append(r.results, result)
		},
		Now: func() time.Time {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.now
		},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.Client, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

func (r *rig) does(handle http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handle = handle
}

func (r *rig) answer(status int, kind, body string) {
	r.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func (r *rig) times() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

func (r *rig) last(t *testing.T, want auth.IntrospectionResult) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.results); n == 0 || r.results[n-1] != want {
		t.Errorf("counted %v, want %s at the end", r.results, want)
	}
}

func TestAsk(t *testing.T) {
	r := newRig(t, nil)
	i, err := r.Ask(t.Context(), "a+b/c~==")
	if err != nil || !i.Active || string(i.Claims.JSON()) != `{"active":true,"sub":"u1"}` || i.Until != 1_800_000_030 {
		t.Fatalf("%+v %v", i, err)
	}
	q := r.asked[0]
	id, secret, _ := q.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if q.Method != "POST" || q.URL.RequestURI() != "/introspect?tenant=1" || id != "us:1" || secret != "s%c ret" || q.Header.Get("Accept") != "application/json" || q.UserAgent() != "gatehouse" {
		t.Errorf("%s %s as %q %q: %v", q.Method, q.URL, id, secret, q.Header)
	}
	if got := q.PostForm.Encode(); got != "token=a%2Bb%2Fc~%3D%3D&token_type_hint=access_token" {
		t.Errorf("it is asked %s", got)
	}
	for name := range q.Header {
		if strings.Contains(name, "Idempotency") {
			t.Errorf("%s is sent", name)
		}
	}
	r.last(t, auth.IntrospectionActive)
	r.answer(200, "Application/JSON; charset=utf-8", `{"active":false}`)
	if i, err = r.Ask(t.Context(), "x"); err != nil || i.Active {
		t.Errorf("%+v %v", i, err)
	}
	r.last(t, auth.IntrospectionInactive)
}

// Requests with one token make one call, which does not end with the request that
// began it.
func TestQ04OneCallForOneToken(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxCalls = 1 })
	began, goOn := make(chan struct{}), make(chan struct{})
	r.does(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-goOn
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":true}`))
	})
	leader, leave := context.WithCancel(t.Context())
	results := make(chan error, 10)
	ask := func(ctx context.Context) {
		i, err := r.Ask(ctx, "token")
		if err == nil && !i.Active {
			err = errors.New("not active")
		}
		results <- err
	}
	led := make(chan struct{})
	go func() { defer close(led); _, _ = r.Ask(leader, "token") }()
	<-began
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	if _, err := r.Ask(gone, "token"); !errors.Is(err, context.Canceled) {
		t.Errorf("a request that is gone waits: %v", err)
	}
	for range 10 {
		go ask(t.Context())
	}
	leave()
	if _, err := r.Ask(t.Context(), "another"); err == nil {
		t.Error("one call too many")
	}
	r.last(t, auth.IntrospectionBusy)
	close(goOn)
	for range 10 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	<-led
	if n := r.times(); n > 2 { // a request that came late asks for itself
		t.Errorf("asked %d times", n)
	}
}

// A flood of made-up tokens reaches the issuer in no greater number than it may.
func TestD11FloodIsBounded(t *testing.T) {
	const most = 4
	r := newRig(t, nil)
	var mu sync.Mutex
	now, peak := 0, 0
	entered, release := make(chan struct{}, 100), make(chan struct{})
	r.does(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		now++
		peak = max(peak, now)
		mu.Unlock()
		entered <- struct{}{}
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":false}`))
	})
	var asking sync.WaitGroup
	left := make(chan struct{}, 100)
	for n := range 100 {
		asking.Go(func() {
			if _, err := r.Ask(t.Context(), fmt.Sprint("made-up", n)); err != nil {
				left <- struct{}{}
			}
		})
	}
	for range 100 - most {
		<-left
	}
	for range most {
		<-entered
	}
	close(release)
	asking.Wait()
	if peak != most {
		t.Errorf("%d calls at once", peak)
	}
	if lines := strings.Count(r.log.String(), "level=WARN"); lines != 1 {
		t.Errorf("%d lines in the log: %s", lines, &r.log)
	}
	if r.Failing() {
		t.Error("the issuer is thought to be at fault")
	}
	if i, err := r.Ask(t.Context(), "afterwards"); err != nil || i.Active {
		t.Errorf("afterwards: %v", err)
	}
}

func TestInactive(t *testing.T) {
	r := newRig(t, nil)
	has := func(token string, after time.Duration, want bool) {
		t.Helper()
		if got := r.Inactive(token, r.now.Add(after)); got != want {
			t.Errorf("%s after %s: %t", token, after, got)
		}
	}
	has("a", 0, false)
	_, _ = r.Ask(t.Context(), "good")
	r.answer(503, "application/json", `{"active":false}`)
	_, _ = r.Ask(t.Context(), "failed")
	r.answer(200, "application/json", `{"active":false}`)
	_, _ = r.Ask(t.Context(), "a")
	has("good", 0, false)
	has("failed", 0, false)
	has("b", 0, false)
	has("a", 0, true)
	has("a", inactiveFor-1, true)
	has("a", inactiveFor, false)
	most := 0
	for n := range 3 * maxInactive {
		r.inactive.add(fmt.Sprint(n), r.now.Add(time.Second))
		most = max(most, len(r.inactive.newer)+len(r.inactive.older))
	}
	if most != 2*maxInactive {
		t.Errorf("%d tokens are remembered", most)
	}
	has("a", 0, false)
	has(fmt.Sprint(3*maxInactive-1), 0, true)
	has(fmt.Sprint(2*maxInactive), 0, true)

	r.does(func(w http.ResponseWriter, _ *http.Request) { // what is slow is no younger for it
		r.pass(time.Second)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"active":false}`))
	})
	i, err := r.Ask(t.Context(), "slow")
	if err != nil || i.Until != r.now.Unix()-1+30 {
		t.Errorf("%+v %v", i, err)
	}
	has("slow", time.Second-1, true)
	has("slow", time.Second, false)

	r = newRig(t, func(c *Config) { c.Cache = 0 })
	r.answer(200, "application/json", `{"active":false}`)
	_, _ = r.Ask(t.Context(), "a")
	has("a", 0, false)
}

// Trouble is told once, and its end too.
func TestTrouble(t *testing.T) {
	r := newRig(t, nil)
	r.answer(401, "application/json", `{"error":"invalid_client"}`)
	for n := range 20 {
		if _, err := r.Ask(t.Context(), fmt.Sprint(n)); err == nil {
			t.Fatal("401 is an answer")
		}
	}
	r.last(t, auth.IntrospectionFailed)
	text := r.log.String()
	if strings.Contains(text, "answers again") {
		t.Errorf("the log: %s", text)
	}
	if strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "client_id and client_secret") || !strings.Contains(text, "issuer=afar") {
		t.Errorf("the log: %s", text)
	}
	if !r.Failing() {
		t.Error("nothing is shown")
	}
	r.answer(200, "application/json", `{"active":true}`)
	for n := range 5 {
		_, _ = r.Ask(t.Context(), fmt.Sprint(n))
	}
	if text = r.log.String(); strings.Count(text, "level=INFO") != 1 || r.Failing() {
		t.Errorf("the log: %s", text)
	}
	r.answer(500, "", "")
	_, _ = r.Ask(t.Context(), "x")
	if n := strings.Count(r.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors within %s", n, troubleEvery)
	}
	r.pass(troubleEvery)
	_, _ = r.Ask(t.Context(), "x")
	if n := strings.Count(r.log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors after %s", n, troubleEvery)
	}
	r.answer(200, "application/json", `{"active":true}`)
	r.pass(troubleEvery)
	_, _ = r.Ask(t.Context(), "x")
	if n := strings.Count(r.log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors, one of them about an answer", n)
	}
}

// So is a burst of calls.
func TestBursts(t *testing.T) {
	r := newRig(t, nil)
	for _, pass := range []time.Duration{0, troubleEvery - 1, 1} {
		r.pass(pass)
		r.trouble.busy(&r.cfg, errors.New("too many"))
	}
	if n := strings.Count(r.log.String(), "level=WARN"); n != 2 {
		t.Errorf("%d warnings in %s", n, troubleEvery)
	}
}

// The environment is read once in a process, so that setting it proves nothing.
func TestQ01Transport(t *testing.T) {
	r := newRig(t, nil)
	way := r.client.Transport.(*http.Transport)
	if way.Proxy != nil {
		t.Error("the transport asks the environment for a proxy")
	}
	if way.TLSHandshakeTimeout != r.cfg.Timeout || way.MaxIdleConnsPerHost != r.cfg.MaxCalls {
		t.Errorf("a handshake may take %s, %d connections are kept", way.TLSHandshakeTimeout, way.MaxIdleConnsPerHost)
	}
}

// A call that panics ends nothing but itself, and leaves nobody waiting.
func TestPanicReleases(t *testing.T) {
	r := newRig(t, nil)
	observe := r.cfg.Observe
	r.cfg.Observe = func(auth.IntrospectionResult, time.Duration) { panic("once") }
	if i, err := r.Ask(t.Context(), "a"); err == nil || i != nil {
		t.Errorf("%+v %v", i, err)
	}
	r.cfg.Observe = observe
	if _, err := r.Ask(t.Context(), "a"); err != nil || len(r.calls) != 0 {
		t.Errorf("%v, %d calls", err, len(r.calls))
	}
}

func TestQ01IntrospectionURL(t *testing.T) {
	good := Config{
		Issuer: "a", ClientID: "a", ClientSecret: "a", Timeout: 1, MaxCalls: 1, Log: slog.New(slog.DiscardHandler),
		Observe: func(auth.IntrospectionResult, time.Duration) {},
	}
	for address, ok := range map[string]bool{
		"https://as.example.com/introspect": true, "http://127.0.0.1:1/": true, "http://[::1]/": true, "http://localhost/": true,
		"http://as.example.com/": false, "http://10.0.0.1/": false, "https://u:p@as.example.com/": false, "ftp://as.example.com/": false, "": false, "https://as.example.com/#a": false,
	} {
		cfg := good
		cfg.URL = address
		if _, err := New(cfg); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
	for name, change := range map[string]func(*Config){
		"Issuer": func(c *Config) { c.Issuer = "" }, "ClientID": func(c *Config) { c.ClientID = "" }, "ClientSecret": func(c *Config) { c.ClientSecret = "" },
		"Timeout": func(c *Config) { c.Timeout = 0 }, "MaxCalls": func(c *Config) { c.MaxCalls = 0 }, "Cache": func(c *Config) { c.Cache = -1 },
		"Observe": func(c *Config) { c.Observe = nil }, "Log": func(c *Config) { c.Log = nil },
	} {
		cfg := good
		cfg.URL = "https://as.example.com/"
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("without %s", name)
		}
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
