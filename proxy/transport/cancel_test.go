package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"gatehouse/test/loopback"
)

var errGone = errors.New("the client is gone")

// cancellable gives a request a context that can be ended for a reason.
func cancellable(t *testing.T, r *http.Request) (*http.Request, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(r.Context())
	t.Cleanup(func() { cancel(nil) })
	return r.WithContext(ctx), cancel
}

func TestCancelledBefore(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		s := answering(t, ok)
		for _, kept := range []int32{0, 1} { // without a connection, and with one that is kept
			r, cancel := cancellable(t, s.upload("POST", strings.NewReader("x"), 1))
			body := &closes{Reader: strings.NewReader("x")}
			r.Body = body
			cancel(errGone)
			if _, err := rt.RoundTrip(r); !errors.Is(err, errGone) {
				t.Error(err)
			}
			if n := s.accepted.Load(); n != kept || s.requests.Load() != kept || body.count() == 0 {
				t.Errorf("%d connections, %d requests, body closed %d times", n, s.requests.Load(), body.count())
			}
			if _, text, err := fetch(rt, s.request("GET")); text != "ok" || err != nil || s.accepted.Load() != 1 {
				t.Errorf("the next: %q, %v, %d connections", text, err, s.accepted.Load())
			}
		}
	})
}

func TestCancelledWhileConnecting(t *testing.T) {
	connecting := make(chan struct{}, 2)
	cfg := config{dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		connecting <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	both(t, cfg, func(t *testing.T, rt roundTripper) {
		s := answering(t, ok)
		r, cancel := cancellable(t, s.request("GET"))
		go func() {
			<-connecting
			cancel(errGone)
		}()
		if _, err := rt.RoundTrip(r); !errors.Is(err, errGone) {
			t.Error(err)
		}
	})
}

// A server that reads nothing: the request gets stuck.
func TestCancelledWhileWriting(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		begun, returned := make(chan struct{}, 2), make(chan struct{}, 2)
		s := serve(t, func(s *session) {
			_, _ = s.in.Peek(1)
			begun <- struct{}{}
			<-returned
			s.untilClosed()
		})
		for _, body := range []bool{false, true} {
			r := s.request("GET")
			r.Header["X-Large"] = []string{strings.Repeat("x", 16<<20)}
			if body {
				r = s.upload("PUT", endless{}, 1<<40)
			}
			r, cancel := cancellable(t, r)
			go func() {
				<-begun
				cancel(errGone)
			}()
			if _, err := rt.RoundTrip(r); !errors.Is(err, errGone) {
				t.Errorf("body %t: %v", body, err)
			}
			returned <- struct{}{}
			within(t, "the connection's end", s.ended)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestCancelledWhileWaiting(t *testing.T) {
	for _, before := range []string{"", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Le"} {
		both(t, config{}, func(t *testing.T, rt roundTripper) {
			s := serve(t, func(s *session) {
				if r := s.request(); r != nil && r.Method == "GET" {
					s.say(before)
				} else {
					s.say(ok)
				}
				s.untilClosed()
			})
			r, cancel := cancellable(t, s.request("GET"))
			go func() {
				for s.requests.Load() == 0 {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(5 * time.Millisecond)
				cancel(errGone)
			}()
			if _, err := rt.RoundTrip(r); !errors.Is(err, errGone) {
				t.Errorf("after %q: %v", before, err)
			}
			within(t, "the connection's end", s.ended)
			if _, body, err := fetch(rt, s.request("PUT")); body != "ok" || err != nil {
				t.Errorf("after %q the next: %q, %v", before, body, err)
			}
		})
	}
}

func TestCancelledInTheBody(t *testing.T) {
	for _, head := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "HTTP/1.1 200 OK\r\n\r\nhalf",
	} {
		both(t, config{}, func(t *testing.T, rt roundTripper) {
			s := serve(t, func(s *session) {
				s.request()
				s.say(head)
				s.untilClosed()
			})
			r, cancel := cancellable(t, s.request("GET"))
			res, err := rt.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4)
			if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != "half" {
				t.Errorf("%q, %v", b, err)
			}
			time.AfterFunc(5*time.Millisecond, func() { cancel(errGone) })
			for range 2 {
				if n, err := res.Body.Read(b); n != 0 || err == nil || err == io.EOF {
					t.Errorf("%q: %d bytes, %v", head, n, err)
				}
			}
			res.Body.Close()
			within(t, "the connection's end", s.ended)
		})
	}
}

// Once the answer is whole its request's context means nothing to the
// connection.
func TestCancelledAfter(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		s := answering(t, ok)
		for range 20 {
			r, cancel := cancellable(t, s.request("GET"))
			if _, body, err := fetch(rt, r); body != "ok" || err != nil {
				t.Fatal(body, err)
			}
			cancel(errGone)
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// Closing the body from beside a Read ends it.
func TestCloseBesideRead(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			s.request()
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			s.untilClosed()
		})
		res, err := rt.RoundTrip(s.request("GET"))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { res.Body.Close() })
		if b, err := io.ReadAll(res.Body); err == nil || string(b) != "half" {
			t.Errorf("%q, %v", b, err)
		}
		within(t, "the connection's end", s.ended)
	})
}

// isTimeout is what the gateway tells a wait in vain by, and a wait for the
// connection apart from one for the answer.
func isTimeout(err error) bool {
	var network net.Error
	var operation *net.OpError
	return errors.As(err, &network) && network.Timeout() && !errors.As(err, &operation)
}

func TestHeaderTimeout(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\nX"} {
		both(t, config{timeout: 100 * time.Millisecond}, func(t *testing.T, rt roundTripper) {
			s := serve(t, func(s *session) {
				s.request()
				s.say(before)
				s.untilClosed()
			})
			for _, r := range []*http.Request{s.request("GET"), s.upload("PUT", strings.NewReader("x"), 1)} {
				begin := time.Now()
				if _, err := rt.RoundTrip(traced(r, func(int, textproto.MIMEHeader) error { return nil })); !isTimeout(err) {
					t.Errorf("%s after %q: %v", r.Method, before, err)
				}
				if took := time.Since(begin); took < 90*time.Millisecond || took > patience/2 {
					t.Errorf("%s after %q: in %v", r.Method, before, took)
				}
				within(t, "the connection's end", s.ended)
			}
		})
	}
}

// The bound is for the header: neither the body of the answer, nor what the
// client takes to send its own, nor the time between requests counts.
func TestHeaderTimeoutIsForTheHeader(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	both(t, config{timeout: limit}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			for s.request() != nil {
				s.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla")
				time.Sleep(2 * limit)
				s.say("te")
			}
		})
		for range 2 {
			for _, r := range []*http.Request{s.request("GET"), s.upload("PUT", &slow{"body", 2 * limit}, -1)} {
				if _, body, err := fetch(rt, r); body != "late" || err != nil {
					t.Errorf("%s: %q, %v", r.Method, body, err)
				}
				time.Sleep(2 * limit)
			}
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// Nor does an upload that ends when the header is there begin another wait.
func TestHeaderTimeoutBesideUpload(t *testing.T) {
	t.Parallel()
	const limit = 100 * time.Millisecond
	both(t, config{timeout: limit}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			for r := s.head(); r != nil; r = s.head() {
				s.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla")
				_, _ = io.Copy(io.Discard, r.Body)
				time.Sleep(2 * limit)
				s.say("te")
			}
		})
		if _, body, err := fetch(rt, s.upload("PUT", &slow{"body", limit / 2}, -1)); body != "late" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
	})
}

// slow is a body that pauses before its end.
type slow struct {
	text  string
	pause time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	if s.text == "" {
		time.Sleep(s.pause)
		return 0, io.EOF
	}
	n := copy(p, s.text)
	s.text = s.text[n:]
	return n, nil
}

func TestConnectingFails(t *testing.T) {
	both(t, config{}, func(t *testing.T, rt roundTripper) {
		s := &server{t: t, url: "http://" + loopback.Address()}
		body := &closes{Reader: strings.NewReader("x")}
		r := s.upload("POST", body, 1)
		r.Body = body
		var operation *net.OpError
		if _, err := rt.RoundTrip(r); !errors.As(err, &operation) || operation.Op != "dial" {
			t.Error(err)
		}
		if body.count() == 0 {
			t.Error("the body was not closed")
		}
	})
}
