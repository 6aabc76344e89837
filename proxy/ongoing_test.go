package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

// stream opens an answer that goes on until the client or the gateway ends it,
// and reads its first line.
func stream(t *testing.T, g *gateway, target, bearer string) (*http.Response, *bufio.Reader) {
	t.Helper()
	r := must(http.NewRequest(http.MethodGet, g.server.URL+target, nil))
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := g.server.Client().Do(r)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	t.Cleanup(func() { res.Body.Close() })
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); line != "data: 1\n" {
		t.Fatalf("%q %v", line, err)
	}
	return res, body
}

// streaming is a gateway in front of an upstream that says one thing and no
// more: by chunks, or of a length that never comes.
func streaming(t *testing.T) *gateway {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly), route("open", "/open/", auth.None), route("keys", "/keys/", auth.APIKeyOnly)}
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			part := "data: 1\n"
			if strings.HasSuffix(r.URL.Path, "/download") {
				w.Header().Set("Content-Type", "application/octet-stream")
				w.Header().Set("Content-Length", "1000000")
				part += strings.Repeat("x", 100_000) // more than any buffer on the way
			}
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-over:
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.handler.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return g
}

// ended waits for the answer's end, which must not look like a good one. How
// soon it comes is for TestP17TheWatchLooksInTime, which no busy machine delays.
func ended(t *testing.T, body io.Reader) {
	t.Helper()
	_, err := io.ReadAll(body)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the answer ended well: %v", err)
	}
}

// What goes on ends at the first look behind its credential's end.
func TestP17TheWatchLooksInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := []time.Time{time.Now()}
		h := must(New(Config{Log: slog.New(slog.DiscardHandler), State: func() *State {
			looks = append(looks, time.Now())
			return nil // nothing goes on
		}}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		for i, look := range append(looks, time.Now())[1:] {
			if after := look.Sub(looks[i]); after > time.Second {
				t.Errorf("%s between two looks", after)
			}
		}
	})
}

func TestP17StreamsEndWithTheirCredential(t *testing.T) {
	for _, target := range []string{"/events", "/download"} {
		t.Run("revoked "+target, func(t *testing.T) {
			g := streaming(t)
			_, body := stream(t, g, target, token(nil))
			_, other := stream(t, g, target, token(map[string]any{"sid": "s2", "jti": "j2"}))
			g.revoked.revoke(auth.KindSession, "main", "s1")
			ended(t, body)
			line := g.accessLine()
			if line["reason"] != "token_revoked" || line["result"] != "denied" {
				t.Errorf("%v", line)
			}
			g.handler.ongoing.mu.Lock()
			if n := len(g.handler.ongoing.by); n != 1 {
				t.Errorf("%d are watched", n)
			}
			g.handler.ongoing.mu.Unlock()
			_ = other
		})
	}
	t.Run("expired", func(t *testing.T) {
		g := streaming(t)
		_, body := stream(t, g, "/events", token(nil))
		g.pass(10 * time.Minute)
		ended(t, body)
		if line := g.accessLine(); line["reason"] != "token_expired" {
			t.Errorf("%v", line)
		}
	})
}

// What memory is unsure of is asked about, and goes on while there is no answer;
// one that is slow keeps nobody else waiting.
func TestP17StreamsThatMemoryIsUnsureOf(t *testing.T) {
	g := streaming(t)
	g.revoked.doubt(true, errors.New("the store is down"))
	g.refused(g.get("/events", "Authorization: Bearer "+token(nil)), 503, "store_unavailable")
	g.accessLine()
	g.revoked.doubt(true, nil)
	_, body := stream(t, g, "/events", token(nil))
	_, other := stream(t, g, "/events", token(map[string]any{"sid": "s2", "jti": "j2"}))
	g.revoked.doubt(true, errors.New("the store is down"))
	g.revoked.revoke(auth.KindSession, "main", "s1")
	time.Sleep(2 * recheckInterval) // in which nothing must happen
	g.handler.ongoing.mu.Lock()
	if n := len(g.handler.ongoing.by); n != 2 {
		t.Errorf("%d go on while the store is down", n)
	}
	g.handler.ongoing.mu.Unlock()
	g.revoked.doubt(true, nil)
	ended(t, body)
	if line := g.accessLine(); line["reason"] != "token_revoked" {
		t.Errorf("%v", line)
	}
	stream(t, g, "/events", token(map[string]any{"sid": "s3", "jti": "j3"}))
	stream(t, g, "/events", token(map[string]any{"sid": "s4", "jti": "j4"}))
	g.revoked.doubt(true, context.DeadlineExceeded)
	var waits []time.Duration
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), patience{}, &waits), 10*time.Second)
	defer cancel()
	g.handler.ongoing.recheck(ctx, g.state, time.Now())
	var all time.Duration
	for _, wait := range waits {
		all += wait
	}
	if len(waits) == 0 || all > recheckInterval {
		t.Errorf("a store that hangs holds the watch up for %s in all: %s", all, waits)
	}
	_ = other
}

// What needs no credential, or is over at once, is not watched.
func TestOnlyLongAnswersWithACredentialAreWatched(t *testing.T) {
	g := streaming(t)
	stream(t, g, "/open/events", "")
	g.handler.ongoing.mu.Lock()
	defer g.handler.ongoing.mu.Unlock()
	if n := len(g.handler.ongoing.by); n != 0 {
		t.Errorf("%d are watched", n)
	}
}

func TestP17StreamsOfAPIKeysAreWatched(t *testing.T) {
	g := streaming(t)
	r := must(http.NewRequest(http.MethodGet, g.server.URL+"/keys/events", nil))
	r.Header.Set("Api-Key", apiKey)
	res := must(g.server.Client().Do(r))
	defer res.Body.Close()
	g.handler.ongoing.mu.Lock()
	defer g.handler.ongoing.mu.Unlock()
	if n := len(g.handler.ongoing.by); n != 1 {
		t.Errorf("%d are watched", n)
	}
}

func TestStreamsEndWithTheHandler(t *testing.T) {
	g := streaming(t)
	_, body := stream(t, g, "/events", token(nil))
	g.handler.ongoing.close()
	ended(t, body)
	// One that begins then ends at once.
	r := must(http.NewRequest(http.MethodGet, g.server.URL+"/events", nil))
	r.Header.Set("Authorization", "Bearer "+token(nil))
	res, err := g.server.Client().Do(r)
	if err == nil {
		defer res.Body.Close()
		ended(t, res.Body)
	}
}

// opaque is an issuer that is asked about its tokens.
type opaque struct {
	answer atomic.Pointer[auth.Introspected]
} // nil: it cannot be had

func (*opaque) Inactive(string, time.Time) bool { return false }

func (o *opaque) Ask(context.Context, string) (*auth.Introspected, error) {
	if a := o.answer.Load(); a != nil {
		return a, nil
	}
	return nil, errors.New("down")
}

// A reload forgets what was heard of a token. Until its issuer answers again, what
// the configuration before knows of its end counts; then the answer does.
func TestP17OpaqueTokenMeetsANewConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gateway, *opaque)
		reason string
	}{
		"revoked meanwhile": {func(g *gateway, _ *opaque) { g.revoked.revoke(auth.KindSession, "main", "s1") }, "token_revoked"},
		"not good any more": {func(_ *gateway, o *opaque) { o.answer.Store(&auth.Introspected{}) }, "token_untrusted"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := &opaque{}
			g := newGateway(t, func(s *setup) {
				s.routes = []*Route{route("ws", "/ws", auth.BearerOnly)}
				s.routes[0].WebSocket, s.routes[0].Policy.Renew, s.upstream = true, false, switching
			})
			g.issuer.Introspection = issuer
			exp := time.Now().Unix() + 600
			issuer.answer.Store(must(auth.ParseIntrospected(fmt.Appendf(nil,
				`{"active":true,"iss":"https://issuer.example","aud":"api","sub":"alice","sid":"s1","exp":%d}`, exp))))
			issuer.answer.Load().Until = exp
			conn, r, _ := g.open("Authorization: Bearer opaque")
			issuer.answer.Store(nil)
			route := *g.state.table.routes[0].Route
			next := must(NewState(StateConfig{
				Gate: must(auth.NewGate(auth.GateConfig{
					APIKeys: auth.NewAPIKeys(nil, nil), Issuers: []*auth.Issuer{g.issuer}, Revocations: g.revoked, CacheBytes: 1 << 20,
				})),
				Routes: []*Route{&route}, APIKeyHeader: "Api-Key",
				Observer: func(string) Observer { return g.counts }, Renewal: func(string, auth.RenewResult) {},
			}))
			g.handler.ongoing.recheck(t.Context(), next, time.Now())
			_, _ = io.WriteString(conn, "still here\n")
			if line, err := r.ReadString('\n'); err != nil {
				t.Errorf("%q %v", line, err)
			}
			c.change(g, issuer)
			g.handler.ongoing.recheck(t.Context(), next, time.Now())
			if _, err := r.ReadByte(); err == nil {
				t.Error("the connection lives on")
			}
			if line := g.accessLine(); line["reason"] != c.reason {
				t.Errorf("logged %v", line)
			}
		})
	}
}
