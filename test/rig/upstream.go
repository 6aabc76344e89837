package rig

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Received is a request as an upstream saw it.
type Received struct {
	*http.Request
	Body string
}

// Upstream is a server that remembers what it receives.
type Upstream struct {
	URL      string
	server   *httptest.Server
	mu       sync.Mutex
	received []*Received
	handler  http.HandlerFunc
}

// NewUpstream starts an upstream that answers 200 and "hello".
func NewUpstream() *Upstream {
	u := &Upstream{}
	u.server = httptest.NewServer(http.HandlerFunc(u.serve))
	u.URL = u.server.URL
	return u
}

// StartUpstream starts one that ends with the test.
func StartUpstream(t testing.TB) *Upstream {
	u := NewUpstream()
	t.Cleanup(u.Close)
	return u
}

// Close ends the upstream and its connections.
func (u *Upstream) Close() {
	u.server.CloseClientConnections()
	u.server.Close()
}

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	seen := &Received{Request: r.Clone(context.WithoutCancel(r.Context()))}
	u.mu.Lock()
	handler := u.handler
	u.received = append(u.received, seen)
	u.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	seen.Body, seen.Trailer = string(body), r.Trailer
	u.mu.Unlock()
	_, _ = io.WriteString(w, "hello")
}

// Handle sets what answers from now on, until the test ends.
func (u *Upstream) Handle(t testing.TB, h http.HandlerFunc) {
	set := func(h http.HandlerFunc) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.handler = h
	}
	set(h)
	t.Cleanup(func() { set(nil) })
}

// Take returns what was received since it was last asked.
func (u *Upstream) Take() []Received {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []Received
	for _, r := range u.received {
		all = append(all, *r)
	}
	u.received = nil
	return all
}

// Last returns the one request that was received since Take was last called.
func (u *Upstream) Last(t testing.TB) Received {
	t.Helper()
	all := u.Take()
	if len(all) != 1 {
		t.Fatalf("the upstream received %d requests, want 1", len(all))
	}
	return all[0]
}

// Nothing checks that nothing was received.
func (u *Upstream) Nothing(t testing.TB) {
	t.Helper()
	for _, r := range u.Take() {
		t.Errorf("the upstream received %s %s", r.Method, r.RequestURI)
	}
}
