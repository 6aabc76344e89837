package keyset

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth"
)

const remoteURL = "https://idp.example.com/jwks.json"

// idp is an issuer for tests that never leaves the process: its connections are
// pipes, so that it works on the clock of a test.
type idp struct {
	mu      sync.Mutex
	handler http.HandlerFunc
	asked   []time.Time // when
	conns   chan net.Conn
	closed  chan struct{}
	running sync.WaitGroup // requests
	open    atomic.Int64   // connections
}

// startIDP starts one that ends with the test.
func startIDP(t *testing.T) *idp {
	i := &idp{conns: make(chan net.Conn), closed: make(chan struct{})}
	i.answer(http.StatusServiceUnavailable, "", "")
	server := &http.Server{Handler: i, ConnState: func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			i.open.Add(1)
		case http.StateClosed:
			i.open.Add(-1)
		}
	}}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(i) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
		i.times() // who asked before is waited for
		i.running.Wait()
	})
	return i
}

func (i *idp) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.closed:
		return nil, net.ErrClosed
	}
}

func (i *idp) Close() error   { close(i.closed); return nil }
func (i *idp) Addr() net.Addr { return &net.UnixAddr{} }

func (i *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.running.Add(1)
	defer i.running.Done()
	i.asked = append(i.asked, time.Now())
	handler := i.handler
	i.mu.Unlock()
	handler(w, r)
}

func (i *idp) handle(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handler = h
}

func (i *idp) answer(status int, cacheControl, body string) {
	i.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", cacheControl)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// publish answers with a set of those keys.
func (i *idp) publish(keys ...string) { i.answer(http.StatusOK, "", string(set(keys...))) }

// times are when it was asked since it was last asked for them.
func (i *idp) times() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	times := i.asked
	i.asked = nil
	return times
}

// reach makes the remote's connections end here.
func (i *idp) reach(r *Remote) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case i.conns <- there:
			return here, nil
		case <-i.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	transport := r.client.Transport.(*http.Transport)
	transport.DialContext, transport.DialTLSContext = dial, dial
}

// key is one that an issuer may publish.
type key struct {
	*ecdsa.PrivateKey
	kid string
	jwk string
}

func newKey(t *testing.T, kid string) key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{private, kid, jwk(t, private.Public(), kid, "ES256", "sig")}
}

// token is one that the key has signed, for an issuer made by newIssuer.
func (k key) token(t testing.TB) string {
	t.Helper()
	signer, err := auth.NewSigningKey(k.kid, "ES256", crypto.Signer(k.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Sign(signer, "JWT", map[string]any{"iss": "i", "sub": "u", "exp": time.Now().Add(tokenLife).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const maxStale = 24 * time.Hour

func remoteConfig(store RingStore) RemoteConfig {
	return RemoteConfig{
		Issuer: "main", URL: remoteURL, Algorithms: []string{"RS256", "ES256"}, MaxStale: maxStale,
		Store: store, Log: slog.New(slog.DiscardHandler),
	}
}

func newRemote(t testing.TB, cfg RemoteConfig) *Remote {
	t.Helper()
	r, err := NewRemote(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// runRemote runs a remote until the returned function ends it, at the latest
// with the test.
func runRemote(t *testing.T, cfg RemoteConfig, from *idp) (r *Remote, end func()) {
	t.Helper()
	r = newRemote(t, cfg)
	from.reach(r)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(end)
	return r, end
}

// guarded decides about tokens by those keys.
type guarded struct {
	gate   *auth.Gate
	policy *auth.Policy
}

func guard(t *testing.T, name string, keys auth.Keys) guarded {
	issuer := &auth.Issuer{
		Name: name, Issuer: "i", AnyAudience: true, Keys: keys, MaxTokenBytes: 4 << 10,
		MaxTokenLife: 2 * tokenLife, Leeway: leeway, SubjectClaim: "sub",
	}
	return guarded{newGate(t, issuer), &auth.Policy{Mode: auth.BearerOnly, Issuers: []*auth.Issuer{issuer}, Forward: &auth.Forward{}}}
}

func (g guarded) decide(token string) auth.Reason {
	return g.gate.Decide(g.policy, auth.BearerCredentials(token), time.Now()).Reason
}

func remoteKids(r *Remote) string {
	ids := []string{}
	for _, k := range r.All() {
		ids = append(ids, k.ID)
	}
	slices.Sort(ids)
	return fmt.Sprint(ids)
}

// logged collects what is logged.
func logged(cfg *RemoteConfig) *bytes.Buffer {
	var b bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&b, nil))
	return &b
}

// jwkMember is a member of the key as it is published.
func (k key) jwkMember(name string) string {
	var members map[string]string
	if err := json.Unmarshal([]byte(k.jwk), &members); err != nil {
		panic(err)
	}
	return members[name]
}
