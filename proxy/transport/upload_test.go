package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// closes is a body that counts how often it was closed.
type closes struct {
	io.Reader
	closed atomic.Int32
}

func (c *closes) Close() error { c.closed.Add(1); return nil }
func (c *closes) count() int32 { return c.closed.Load() }

// echo answers with what it got.
func echo(t *testing.T) *server {
	return serve(t, func(s *session) {
		for r := s.request(); r != nil; r = s.request() {
			body, _ := io.ReadAll(r.Body)
			text := fmt.Sprintf("%s %s %v %d %v %d %x", r.Method, r.RequestURI, r.TransferEncoding, r.ContentLength, r.Trailer, len(body), body[:min(len(body), 8)])
			s.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
		}
	})
}

func TestUploads(t *testing.T) {
	large := bytes.Repeat([]byte("abc"), 1<<20)
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := echo(t)
		for _, c := range []struct {
			method string
			body   io.Reader
			length int64
			want   string
		}{
			{"POST", strings.NewReader("hello"), 5, "POST /path?query [] 5 map[] 5 68656c6c6f"},
			{"POST", strings.NewReader("hello"), -1, "POST /path?query [chunked] -1 map[] 5 68656c6c6f"},
			{"PUT", bytes.NewReader(large), int64(len(large)), "PUT /path?query [] 3145728 map[] 3145728 6162636162636162"},
			{"PUT", bytes.NewReader(large), -1, "PUT /path?query [chunked] -1 map[] 3145728 6162636162636162"},
			{"POST", strings.NewReader(""), -1, "POST /path?query [chunked] -1 map[] 0 "},
			{"GET", strings.NewReader(""), -1, "GET /path?query [] 0 map[] 0 "},
			{"DELETE", strings.NewReader("x"), 1, "DELETE /path?query [] 1 map[] 1 78"},
			{"GET", strings.NewReader("slow"), -1, "GET /path?query [chunked] -1 map[] 4 736c6f77"},
			{"POST", nil, 0, "POST /path?query [] 0 map[] 0 "},
			{"GET", nil, 0, "GET /path?query [] 0 map[] 0 "},
		} {
			r := s.upload(c.method, c.body, c.length)
			body := &closes{}
			if c.body != nil {
				body.Reader = c.body
				r.Body = body
			}
			if _, got, err := fetch(rt, r); got != c.want || err != nil {
				t.Errorf("%s\nwant %s\n%v", got, c.want, err)
			}
			if c.body != nil && body.count() == 0 {
				t.Errorf("%s: the body was not closed", c.want)
			}
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestUploadsExpectAndTrailers(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := echo(t)
		r := s.upload("PUT", strings.NewReader("hello"), -1)
		r.Header["Expect"] = []string{"100-continue"}
		r.Trailer = http.Header{"X-Sum": {"7"}}
		if _, got, err := fetch(rt, r); got != "PUT /path?query [chunked] -1 map[X-Sum:[7]] 5 68656c6c6f" || err != nil {
			t.Errorf("%s, %v", got, err)
		}
	})
}

// A server can answer before it has the whole body. The answer comes at once,
// and the connection, where the rest would be taken for a request, is not used
// again.
func TestEarlyAnswer(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
	} {
		both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
			s := serve(t, func(s *session) {
				if s.nth > 1 {
					s.request()
					s.say(ok)
					return
				}
				s.head()
				s.say(answer)
				s.untilClosed()
			})
			pr, pw := io.Pipe() // from which nothing more comes
			defer pw.Close()
			go func() { _, _ = io.WriteString(pw, "begin") }()
			if res, body, err := fetch(rt, s.upload("POST", pr, 1000)); err != nil || res.StatusCode != 413 || !strings.HasPrefix("no", body) {
				t.Fatalf("%q, %v", body, err)
			}
			within(t, "the connection's end", s.ended)
			if _, body, err := fetch(rt, s.request("GET")); body != "ok" || err != nil || s.accepted.Load() != 2 {
				t.Errorf("%q, %v, %d connections", body, err, s.accepted.Load())
			}
		})
	}
}

// A conversation: the answer goes on while the request does.
func TestFullDuplex(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			for r := s.head(); r != nil; r = s.head() {
				s.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				b := make([]byte, 1)
				for {
					n, err := r.Body.Read(b)
					if n > 0 {
						s.say(fmt.Sprintf("1\r\n%s\r\n", b))
					}
					if err == io.EOF {
						s.say("0\r\n\r\n")
						break
					} else if err != nil {
						return
					}
				}
			}
		})
		for range 3 {
			pr, pw := io.Pipe()
			go func() { _, _ = io.WriteString(pw, "a") }()
			res, err := rt.RoundTrip(s.upload("POST", pr, -1))
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 1)
			for _, next := range "bcd" {
				if _, err := io.ReadFull(res.Body, b); err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(pw, string(next))
			}
			pw.Close()
			if rest, err := io.ReadAll(res.Body); string(rest) != "d" || err != nil {
				t.Errorf("%q, %v", rest, err)
			}
			res.Body.Close()
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

// failing is a body that breaks off.
type failing struct {
	text string
	err  error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.text == "" {
		return 0, f.err
	}
	n := copy(p, f.text)
	f.text = f.text[n:]
	return n, nil
}

// A body that breaks off, or is not as long as was said: the server must not
// take what it has for the whole, and the error is the body's.
func TestUploadFails(t *testing.T) {
	broken := errors.New("the body broke off")
	for _, c := range []struct {
		name   string
		body   io.Reader
		length int64
		err    error // nil: any
	}{
		{"breaks off", &failing{"abc", broken}, 10, broken},
		{"breaks off at its end", &failing{"abc", broken}, 3, broken},
		{"breaks off, chunked", &failing{"abc", broken}, -1, broken},
		{"breaks off at once", &failing{"", broken}, 10, broken},
		{"breaks off at once, chunked", &failing{"", broken}, -1, broken},
		{"too short", strings.NewReader("abc"), 10, nil},
	} {
		both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
			whole := make(chan bool, 1)
			s := serve(t, func(s *session) {
				if s.nth > 1 {
					s.request()
					s.say(ok)
					return
				}
				r := s.head()
				if r == nil {
					whole <- false
					return
				}
				_, err := io.ReadAll(r.Body)
				whole <- err == nil && c.name != "breaks off at its end" // all of it had been sent
				s.untilClosed()
			})
			body := &closes{Reader: c.body}
			if f, ok := c.body.(*failing); ok {
				again := *f
				body.Reader = &again
			} else {
				body.Reader = strings.NewReader("abc")
			}
			r := s.upload("POST", body, c.length)
			r.Body = body
			if res, err := rt.RoundTrip(r); err == nil || c.err != nil && !errors.Is(err, c.err) || errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%s: %v, %v", c.name, res, err)
			}
			if <-whole {
				t.Errorf("%s: the server got it whole", c.name)
			}
			if body.count() == 0 {
				t.Errorf("%s: the body was not closed", c.name)
			}
			if _, text, err := fetch(rt, s.request("GET")); text != "ok" || err != nil || s.accepted.Load() != 2 {
				t.Errorf("%s, the next: %q, %v", c.name, text, err)
			}
		})
	}
}

// A body that breaks off when the answer has begun takes the answer along.
func TestUploadFailsDuringTheAnswer(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			s.head()
			s.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
			s.untilClosed()
		})
		pr, pw := io.Pipe()
		res, err := rt.RoundTrip(s.upload("POST", pr, -1))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		pw.CloseWithError(errors.New("broke off"))
		if b, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("a clean end after %q", b)
		}
		within(t, "the connection's end", s.ended)
	})
}

// A server that goes away during the body.
func TestServerLeavesDuringUpload(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := serve(t, func(s *session) {
			s.head()
			_ = s.SetLinger(0)
		})
		reads := &reads{}
		body := &closes{Reader: reads}
		r := s.upload("POST", body, 1<<40)
		r.Body = body
		if _, err := rt.RoundTrip(r); err == nil || isTimeout(err) {
			t.Error(err)
		}
		n := reads.n.Load() // whoever gets the error may do with the body as he likes
		if body.count() == 0 || s.requests.Load() != 1 {
			t.Errorf("closed %d times, %d requests", body.count(), s.requests.Load())
		}
		if time.Sleep(5 * time.Millisecond); reads.n.Load() != n {
			t.Error("the body is read after the end")
		}
	})
}

// reads is a body without end, which takes its time and counts what it is asked.
type reads struct{ n atomic.Int32 }

func (r *reads) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	r.n.Add(1)
	return len(p), nil
}

// What the server says is heard though sending the rest failed, and the
// connection is not used again. http.Transport hears it sometimes.
func TestAnswerThoughSendingFailed(t *testing.T) {
	s := serve(t, func(s *session) {
		for s.head() != nil {
			time.Sleep(10 * time.Millisecond)
			s.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
			s.untilClosed()
		}
	})
	var writes atomic.Int32 // the head is one, the body another
	rt := closing(t, ours(t, config{timeout: patience, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &faulty{nc, 1, syscall.EPIPE, &writes}, err
	}}))
	res, body, err := fetch(rt, s.upload("POST", strings.NewReader("hello"), 5))
	if err != nil || res.StatusCode != 413 || body != "no" || rt.kept() != 0 {
		t.Fatalf("%q, %v, %d kept", body, err, rt.kept())
	}
	within(t, "the connection's end", s.ended)
}

// lingering is a body that takes its time to be closed.
type lingering struct{ io.Reader }

func (lingering) Close() error { time.Sleep(10 * time.Millisecond); return nil }

// The answer can be at its end before the upload has noticed that it is at its
// own: the connection is kept all the same.
func TestUploadEndsAfterTheAnswer(t *testing.T) {
	both(t, config{timeout: patience}, func(t *testing.T, rt roundTripper) {
		s := echo(t)
		for range 3 {
			r := s.upload("POST", strings.NewReader("hello"), 5)
			r.Body = lingering{r.Body}
			if _, _, err := fetch(rt, r); err != nil {
				t.Error(err)
			}
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}
