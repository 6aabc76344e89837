package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A request that is cancelled ends: at once, or when it is bound to its context.
// What becomes of the context later is nothing to the connection.
func TestCancelledInTime(t *testing.T) {
	for cancelled, ends := range map[time.Duration]time.Duration{
		time.Millisecond: leashAfter, leashAfter + time.Millisecond: leashAfter + time.Millisecond, time.Minute: time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			rt := ours(t, config{dial: func(context.Context, string, string) (net.Conn, error) {
				client, server := net.Pipe()
				go func() {
					defer server.Close()
					for in := bufio.NewReader(server); ; {
						r, err := http.ReadRequest(in)
						if err != nil {
							return
						}
						if r.URL.Path == "/silent" {
							continue
						}
						time.Sleep(2 * leashAfter)
						_, _ = io.WriteString(server, ok)
					}
				}()
				return client, nil
			}})
			defer rt.CloseIdleConnections()
			get := func(ctx context.Context, path string) error {
				r := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h", Path: path}, Header: http.Header{}}
				_, _, err := fetch(rt, r.WithContext(ctx))
				return err
			}
			ctx, cancel := context.WithCancel(context.Background())
			if err := get(ctx, "/"); err != nil {
				t.Fatal(err)
			}
			cancel()
			synctest.Wait()
			if rt.kept() != 1 {
				t.Fatal("a context that ended behind its request has ended the connection")
			}
			ctx, cancel = context.WithCancel(context.Background())
			start := time.Now()
			time.AfterFunc(cancelled, cancel)
			if err := get(ctx, "/silent"); !errors.Is(err, context.Canceled) || time.Since(start) != ends {
				t.Errorf("cancelled after %s: %v after %s", cancelled, err, time.Since(start))
			}
		})
	}
}

// A request costs what net/http's types for its answer do, and nothing for what
// might happen to it.
func TestRoundTripAllocations(t *testing.T) {
	rt := ours(t, config{timeout: time.Minute, dial: func(context.Context, string, string) (net.Conn, error) {
		return &instant{answer: []byte(usual + strings.Repeat("x", 1024))}, nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := (&http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "h", Path: "/"}, Header: http.Header{}}).WithContext(ctx)
	n := testing.AllocsPerRun(100, func() {
		if _, _, err := fetch(rt, r); err != nil {
			t.Fatal(err)
		}
	})
	if n > 16 { // with the race detector pools forget some of what they are given
		t.Errorf("%v allocations", n)
	}
}

// A head that does not fit into what the system takes at once arrives as a
// whole, on a connection that was in use as on a new one.
func TestLargeHead(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		want := strings.Repeat("0123456789abcdef", 3<<19) // 24 MiB, more than the buffers of both sides
		s := serve(t, func(s *session) {
			for {
				time.Sleep(20 * time.Millisecond) // so that there is no room for all of it
				r := s.request()
				if r == nil {
					return
				}
				if got := r.Header.Get("X-Large"); got != "" && got != want {
					t.Errorf("%d bytes arrived, or others", len(got))
				}
				s.say(ok)
			}
		})
		for _, value := range []string{want, "", want, want} {
			r := s.request("GET")
			r.Header.Set("X-Large", value)
			if _, body, err := fetch(rt, r); err != nil || body != "ok" {
				t.Fatalf("%q, %v", body, err)
			}
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// A timer that was stopped too late finds nothing to bind.
func TestLeashIsLate(t *testing.T) {
	l := leash{pull: func() { t.Error("pulled") }}
	ctx, cancel := context.WithCancel(context.Background())
	l.attach(ctx)
	l.bind()
	l.bind()
	if !l.detach() {
		t.Error("the context has not ended")
	}
	l.bind()
	cancel()
}

// A server may say something before it is asked on a new connection, but not on
// one that was kept, however the request is written.
func TestServerSpeaksFirst(t *testing.T) {
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		time.Sleep(20 * time.Millisecond) // for its word to arrive
		return c, err
	}
	for _, last := range []bool{false, true} {
		s := serve(t, func(s *session) {
			s.say(ok)
			s.request()
		})
		rt := closing(t, ours(t, config{dial: dial}))
		for range 2 {
			r := s.request("POST")
			r.Close = last
			if _, body, err := fetch(rt, r); body != "ok" || err != nil {
				t.Errorf("new connection, last %v: %q, %v", last, body, err)
			}
			within(t, "the connection's end", s.ended)
		}
		s = answering(t, ok)
		if _, _, err := fetch(rt, s.request("GET")); err != nil {
			t.Fatal(err)
		}
		u := s.request("POST")
		rt.mu.Lock()
		_ = rt.idle[u.URL.Host][0].net.(*net.TCPConn).CloseRead()
		rt.mu.Unlock()
		u.Close = last
		if _, body, err := fetch(rt, u); body != "ok" || err != nil || s.accepted.Load() != 2 || s.requests.Load() != 2 {
			t.Errorf("kept connection, last %v: %q, %v, %d connections, %d requests", last, body, err, s.accepted.Load(), s.requests.Load())
		}
	}
}
