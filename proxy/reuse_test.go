package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
)

// TestHeadersDoNotMeet: what one request carries never reaches the upstream with
// another, whichever of them have bodies, break off, are refused or come at once.
func TestHeadersDoNotMeet(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var faults []string
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.None)}
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			who := r.URL.Path[1:]
			for name, values := range r.Header {
				if strings.HasPrefix(name, "X-Only-") && (name != "X-Only-"+who || values[0] != who) {
					mu.Lock()
					faults = append(faults, fmt.Sprintf("%s has %s: %q", who, name, values))
					mu.Unlock()
				}
			}
			if r.Header.Get("X-Only-"+who) != who {
				mu.Lock()
				faults = append(faults, who+" has lost its own")
				mu.Unlock()
			}
			if r.Method == http.MethodPost && len(who)%2 == 0 {
				return // before the body has come
			}
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for n := range 60 {
				who := fmt.Sprintf("C%dn%d", c, n)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if n%7 == 3 {
					time.AfterFunc(time.Duration(n)*20*time.Microsecond, cancel)
				}
				method, body := http.MethodGet, io.Reader(nil)
				if n%3 == 0 {
					method, body = http.MethodPost, strings.NewReader(strings.Repeat("x", n*100))
				}
				r := must(http.NewRequestWithContext(ctx, method, g.server.URL+"/"+who, body))
				r.Header["X-Only-"+who] = []string{who}
				for i := range n % 40 { // more than are kept, too
					r.Header.Set(fmt.Sprintf("X-Filler-%d", i), "f")
				}
				if res, err := http.DefaultClient.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				cancel()
			}
		})
	}
	clients.Wait()
	for _, f := range faults {
		t.Error(f)
	}
}

func TestReuse(t *testing.T) {
	for n, kept := range map[int]bool{0: true, usualHeaders: true, usualHeaders + 1: false} {
		h := http.Header{}
		for i := range n {
			h[fmt.Sprint(i)] = []string{"x"}
		}
		reuse(h)
		if kept != (len(h) == 0) {
			t.Errorf("%d lines: %d are left", n, len(h))
		}
	}
}

// TestWhoseHeaderIsReused: only that of a request without a body: with one, another
// goroutine writes the request, and the answer may be here before it has begun.
func TestWhoseHeaderIsReused(t *testing.T) {
	g := newGateway(t, nil)
	for _, c := range []struct {
		scheme string
		body   io.Reader
		reused bool
	}{
		{"http", nil, true}, {"http", strings.NewReader("x"), false}, {"h2c", nil, false},
	} {
		x := newExchange(g.state, httptest.NewRequest(http.MethodPost, "/", nil), time.Now())
		x.handler, x.route = g.handler, g.state.table.routes[0]
		r := must(http.NewRequestWithContext(context.WithValue(t.Context(), exchangeKey{}, x), http.MethodPost, g.upstream.URL, c.body))
		r.URL.Scheme = c.scheme
		if r.Body != nil {
			x.body.begin(x)
		}
		res := must(g.handler.transport.RoundTrip(r))
		_ = res.Body.Close()
		if (x.sent != nil) != c.reused {
			t.Errorf("%s, body %v: the header is reused: %t", c.scheme, c.body, x.sent != nil)
		}
	}
}
