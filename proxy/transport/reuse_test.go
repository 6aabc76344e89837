package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A kept connection that the server closes when it gets the second request on
// it: whether that is sent again.
func TestStale(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		header string
		body   string
		before string // what the server says before it closes
		again  bool
	}{
		{"GET", "GET", "", "", "", true},
		{"HEAD", "HEAD", "", "", "", true},
		{"OPTIONS", "OPTIONS", "", "", "", true},
		{"POST", "POST", "", "", "", false},
		{"DELETE", "DELETE", "", "", "", false},
		{"POST with a key", "POST", "Idempotency-Key", "", "", true},
		{"POST with another key", "POST", "X-Idempotency-Key", "", "", true},
		{"GET with a body", "GET", "", "x", "", false},
		{"PUT with a body", "PUT", "", "x", "", false},
		{"PUT with a body and a key", "PUT", "Idempotency-Key", "x", "", false},
		{"GET, answered in part", "GET", "", "", "H", false},
		{"GET, hinted", "GET", "", "", "HTTP/1.1 103 Early Hints\r\n\r\n", false},
		{"GET, answered by half", "GET", "", "", "HTTP/1.1 200 OK\r\nContent-", false},
	} {
		var dials atomic.Int32
		cfg := config{timeout: patience, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}}
		both(t, cfg, func(t *testing.T, rt roundTripper) {
			dials.Store(0)
			s := serve(t, func(s *session) {
				for n := 1; s.request() != nil; n++ {
					if s.nth == 1 && n == 2 {
						s.say(c.before)
						return
					}
					s.say(ok)
				}
			})
			if _, body, err := fetch(rt, s.request("GET")); body != "ok" || err != nil {
				t.Fatal(body, err)
			}
			r := s.request(c.method)
			if c.body != "" {
				r = s.upload(c.method, strings.NewReader(c.body), int64(len(c.body)))
			}
			if c.header != "" {
				r.Header[c.header] = []string{"k"}
			}
			res, _, err := fetch(rt, r)
			if c.again && (err != nil || s.requests.Load() != 3 || dials.Load() != 2) || !c.again && (err == nil || s.requests.Load() != 2 || dials.Load() != 1) {
				t.Errorf("%s: %v, %v; %d requests on %d connections", c.name, res, err, s.requests.Load(), dials.Load())
			}
		})
	}
}

// On a new connection nothing is tried twice, nor on a second one for long.
func TestStaleOnlyOnce(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) { s.request() })
		if res, _, err := fetch(rt, s.request("GET")); err == nil || s.requests.Load() != 1 {
			t.Errorf("%v, %v, %d requests", res, err, s.requests.Load())
		}
	})
	// Three kept connections, all of which die when they are used; and so do
	// the new ones.
	var dying atomic.Bool
	held := make(chan struct{})
	s := serve(t, func(s *session) {
		for s.request() != nil && !dying.Load() {
			<-held
			s.say(ok)
		}
	})
	rt := closing(t, ours(t, config{timeout: patience}))
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { _, _, _ = fetch(rt, s.request("GET")) })
	}
	for s.requests.Load() < 3 {
		time.Sleep(time.Millisecond)
	}
	close(held)
	all.Wait()
	dying.Store(true)
	if res, _, err := fetch(rt, s.request("GET")); err == nil || s.requests.Load() != 5 {
		t.Errorf("%v, %v, %d requests", res, err, s.requests.Load())
	}
}

// A kept connection that the server has closed meanwhile is noticed before
// anything is sent on it, so that it does no harm to requests that cannot be
// sent twice.
func TestClosedWhileIdle(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			s.request()
			s.say(ok)
		})
		for _, r := range []*http.Request{
			s.request("GET"), s.request("POST"), s.upload("PUT", strings.NewReader("x"), 1), s.upload("PUT", strings.NewReader("x"), -1), s.request("GET"),
		} {
			if _, body, err := fetch(rt, r); body != "ok" || err != nil {
				t.Errorf("%s: %q, %v", r.Method, body, err)
			}
			within(t, "the connection's end", s.ended)
			time.Sleep(20 * time.Millisecond) // for http.Transport to notice
		}
		if a, r := s.accepted.Load(), s.requests.Load(); a != 5 || r != 5 {
			t.Errorf("%d connections, %d requests", a, r)
		}
	})
}

// The same with a reset, and with an answer that nobody asked for.
func TestUnaskedWhileIdle(t *testing.T) {
	for _, farewell := range []string{"", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"} {
		read, said := make(chan struct{}), make(chan struct{})
		s := serve(t, func(s *session) {
			s.request()
			s.say(ok)
			<-read
			s.say(farewell)
			if farewell == "" {
				_ = s.SetLinger(0)
				s.Close()
			}
			said <- struct{}{}
			s.untilClosed()
		})
		rt := closing(t, ours(t, config{timeout: patience}))
		for i := range 3 {
			if _, body, err := fetch(rt, s.request("POST")); body != "ok" || err != nil {
				t.Errorf("%q: %q, %v", farewell, body, err)
			}
			read <- struct{}{}
			within(t, "the farewell", said)
			if i > 0 {
				within(t, "the end of the connection before", s.ended)
			}
		}
		if n := s.requests.Load(); n != 3 {
			t.Errorf("%q: %d requests", farewell, n)
		}
	}
}

// faulty is a connection of which the second write comes to grief after so many
// bytes.
type faulty struct {
	net.Conn
	after  int
	err    error
	writes *atomic.Int32
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.writes.Add(1) == 2 {
		n, _ := f.Conn.Write(p[:f.after])
		return n, f.err
	}
	return f.Conn.Write(p)
}

// Of what fails while it is written anything may be sent again, if nothing was
// written yet.
func TestStaleWrite(t *testing.T) {
	for _, c := range []struct {
		method string
		after  int
		err    error
		again  bool
	}{
		{"POST", 0, syscall.EPIPE, true},
		{"POST", 1, syscall.EPIPE, false},
		{"GET", 0, syscall.EPIPE, true},
		{"POST", 0, os.ErrDeadlineExceeded, false},
	} {
		var writes atomic.Int32
		cfg := config{timeout: 100 * time.Millisecond, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return &faulty{nc, c.after, c.err, &writes}, err
		}}
		s := answering(t, ok)
		rt := closing(t, ours(t, cfg))
		_, _, _ = fetch(rt, s.request("GET"))
		_, body, err := fetch(rt, s.request(c.method))
		if c.again && (body != "ok" || err != nil || s.accepted.Load() != 2) || !c.again && (!isTimeout(err) || s.accepted.Load() != 1) {
			t.Errorf("%s, %d bytes, %v: %q, %v, %d connections", c.method, c.after, c.err, body, err, s.accepted.Load())
		}
	}
	// On a new connection nothing is.
	var writes atomic.Int32
	writes.Store(1)
	s := answering(t, ok)
	rt := closing(t, ours(t, config{dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &faulty{nc, 0, syscall.EPIPE, &writes}, err
	}}))
	if _, _, err := fetch(rt, s.request("GET")); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
	for range 500 { // the server may not have come to it yet
		if s.accepted.Load() > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A server that has heard enough before the end of a header can say so.
func TestAnswerToHalfARequest(t *testing.T) {
	var writes atomic.Int32
	writes.Store(1)
	s := serve(t, func(s *session) {
		_, _ = s.in.Peek(1)
		s.say("HTTP/1.1 431 Too Large\r\nContent-Length: 2\r\n\r\nno")
		s.untilClosed()
	})
	rt := closing(t, ours(t, config{dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &faulty{nc, 1, syscall.EPIPE, &writes}, err
	}}))
	if res, body, err := fetch(rt, s.request("GET")); err != nil || res.StatusCode != 431 || body != "no" {
		t.Errorf("%q, %v", body, err)
	}
	within(t, "the connection's end", s.ended)
}

func TestAddress(t *testing.T) {
	for host, want := range map[string]string{"h": "h:80", "h:81": "h:81", "[::1]": "[::1]:80", "[::1]:81": "[::1]:81"} {
		both(t, config{dial: func(_ context.Context, network, address string) (net.Conn, error) {
			return nil, errors.New(network + " " + address)
		}}, func(t *testing.T, rt roundTripper) {
			r := (&server{t: t, url: "http://" + host}).request("GET")
			if _, err := rt.RoundTrip(r); err == nil || err.Error() != "tcp "+want {
				t.Errorf("%s: %v", host, err)
			}
		})
	}
}

func TestRequestClose(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			for r := s.request(); r != nil; r = s.request() {
				s.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%-5t", r.Close))
			}
		})
		for i := range 3 {
			r := s.request("GET")
			r.Close = true
			if _, body, err := fetch(rt, r); body != "true " || err != nil || int(s.accepted.Load()) != i+1 {
				t.Errorf("%q, %v, %d connections", body, err, s.accepted.Load())
			}
		}
	})
}

// Connections to one server are not used for another.
func TestServersAreTwo(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		a, b := answering(t, ok), answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
		for range 5 {
			if _, body, err := fetch(rt, a.request("GET")); body != "ok" || err != nil {
				t.Error(body, err)
			}
			if _, body, err := fetch(rt, b.request("GET")); body != "no" || err != nil {
				t.Error(body, err)
			}
		}
		if a.accepted.Load() != 1 || b.accepted.Load() != 1 {
			t.Errorf("%d and %d connections", a.accepted.Load(), b.accepted.Load())
		}
	})
}

// fill leaves so many connections idle, made one after the other.
func fill(t *testing.T, rt http.RoundTripper, s *server, n int) {
	t.Helper()
	var answers []*http.Response
	for range n {
		res, err := rt.RoundTrip(s.request("GET"))
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, res)
	}
	for _, res := range answers {
		if n, err := res.Body.Read(make([]byte, 10)); n != 2 || err != nil && err.Error() != "EOF" {
			t.Fatal(n, err)
		}
		_, _ = res.Body.Read(make([]byte, 10))
		res.Body.Close()
	}
	if got := int(s.accepted.Load()); got < n {
		t.Fatalf("%d connections", got)
	}
}

// kept counts the connections that are idle.
func (t *Transport) kept() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, kept := range t.idle {
		n += len(kept)
	}
	return n
}

func TestPool(t *testing.T) {
	t.Parallel()
	dial := (&net.Dialer{}).DialContext
	s := answering(t, ok)
	rt, err := New(Config{Dial: dial, MaxHeaderBytes: 1000, MaxIdlePerHost: 3, IdleTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, rt, s, 5)
	if n := rt.kept(); n != 3 {
		t.Errorf("%d are kept, want 3", n)
	}
	for range 2 {
		within(t, "the end of those for which there is no room", s.ended)
	}
	// The one used last is used next, and so the others grow old.
	for begin := time.Now(); time.Since(begin) < 300*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if _, _, err := fetch(rt, s.request("GET")); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		within(t, "the end of the old", s.ended)
	}
	if n := rt.kept(); n != 1 || s.accepted.Load() != 5 {
		t.Errorf("%d are kept, want 1; %d were made", n, s.accepted.Load())
	}
	within(t, "the end of the last", s.ended)
	rt.mu.Lock()
	if len(rt.idle) != 0 || rt.sweep != nil {
		t.Errorf("%d pools, timer %v", len(rt.idle), rt.sweep)
	}
	rt.mu.Unlock()
	fill(t, rt, s, 2) // and it begins anew
	rt.CloseIdleConnections()
	for range 2 {
		within(t, "the end of all", s.ended)
	}
	if n := rt.kept(); n != 0 {
		t.Errorf("%d are kept", n)
	}
	fill(t, rt, s, 2)
	for range 2 {
		within(t, "the end of the next", s.ended)
	}
}

func TestNewRefuses(t *testing.T) {
	dial := (&net.Dialer{}).DialContext
	for _, cfg := range []Config{
		{}, {MaxHeaderBytes: 1, IdleTimeout: 1}, {Dial: dial, IdleTimeout: 1}, {Dial: dial, MaxHeaderBytes: 1},
	} {
		if rt, err := New(cfg); err == nil || rt != nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
