package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func echo(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }

func TestD05BodyTooLarge(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.routes[0].MaxBodyBytes = 10
		s.upstream = echo
	})
	post := "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	// Known beforehand: nothing reaches the upstream, and the client is not
	// asked to send it.
	a := g.raw(post + "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n")
	g.refused(a, http.StatusRequestEntityTooLarge, "request_too_large")
	if a := g.raw(post + "Content-Length: 10\r\n\r\n0123456789"); a.StatusCode != 200 || a.body != "0123456789" {
		t.Errorf("exactly as much: %d %s", a.StatusCode, a.body)
	}
	if a := g.raw(post + "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"); a.StatusCode != 200 || a.body != "0123456789" {
		t.Errorf("exactly as much, chunked: %d %s", a.StatusCode, a.body)
	}
	a = g.raw(post + "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789X\r\n0\r\n\r\n")
	if a.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(a.body, "request_too_large") {
		t.Errorf("too much, chunked: %d %s", a.StatusCode, a.body)
	}
}

func TestS05MalformedBodyIsTheClients(t *testing.T) {
	for _, chunks := range []string{"zz\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "\r\nabc", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n", "fffffffffffffffff\r\n"} {
		g := newGateway(t, func(s *setup) { s.upstream = echo })
		a := g.raw("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "request_malformed") || !a.Close {
			t.Errorf("%q: %d %s close %v", chunks, a.StatusCode, a.body, a.Close)
		}
		if line := g.accessLine(); line["reason"] != "request_malformed" || line["result"] != "denied" {
			t.Errorf("%q: logged %v", chunks, line)
		}
		if strings.Contains(g.log.String(), "the body broke off or is malformed") {
			t.Errorf("%q: the wire knows better what is wrong: %s", chunks, g.log)
		}
	}
}

func TestBodyBreaksOff(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.upstream = echo })
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
	_ = conn.(*net.TCPConn).CloseWrite()
	if res := must(http.ReadResponse(bufio.NewReader(conn), nil)); res.StatusCode != 400 {
		t.Errorf("%d", res.StatusCode)
	}
}

func TestD01BodyWithoutProgress(t *testing.T) {
	t.Parallel()
	for _, mode := range []auth.Mode{auth.None, auth.BearerOnly} {
		g := newGateway(t, func(s *setup) {
			s.routes[0].Policy.Mode = mode
			s.state.BodyIdleTimeout = 200 * time.Millisecond
			s.upstream = echo
		})
		a := g.raw("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\nAuthorization: Bearer " + token(nil) + "\r\n\r\nhalf")
		if a.StatusCode != http.StatusRequestTimeout || !strings.Contains(a.body, "request_timeout") || !a.Close {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if line := g.accessLine(); line["reason"] != "request_timeout" || line["result"] != "denied" {
			t.Errorf("logged %v", line)
		}
	}
}

// The deadline of the body must not end the wait for the upstream.
func TestBodyDeadlineEndsWithTheBody(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.state.BodyIdleTimeout = 100 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			time.Sleep(300 * time.Millisecond)
			_, _ = w.Write(body)
		}
	})
	if a := g.raw("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"); a.StatusCode != 200 || a.body != "body" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestS10DeniedRequestWithBody(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.state.BodyIdleTimeout = 200 * time.Millisecond
	})
	// A body that does not come holds the answer up for so long and no longer.
	a := g.raw("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
	g.refused(a, http.StatusUnauthorized, "token_missing")
	if !a.Close {
		t.Error("the connection is kept, with a body on it")
	}
	// A body that does come is not taken for the next request.
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 35\r\n\r\n"+smuggled+"GET /second HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	all := string(must(io.ReadAll(conn)))
	if len(smuggled) != 35 || strings.Count(all, "HTTP/1.1 401") != 2 {
		t.Errorf("%d %s", len(smuggled), all)
	}
}

func TestChunkedBothWays(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			echo(w, r)
		}
	})
	pr, pw := io.Pipe()
	go func() {
		for range 100 {
			_, _ = pw.Write(make([]byte, 10_000))
		}
		pw.Close()
	}()
	res := must(http.Post(g.server.URL, "text/plain", pr))
	defer res.Body.Close()
	if n := must(io.Copy(io.Discard, res.Body)); res.StatusCode != 200 || n != 1_000_000 || res.ContentLength != -1 {
		t.Errorf("%d %d %d", res.StatusCode, n, res.ContentLength)
	}
}

// An upstream may answer while the body is on its way, and an answer that comes
// early is passed on without waiting for the body.
func TestConversation(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			for lines := bufio.NewScanner(r.Body); lines.Scan(); {
				_, _ = io.WriteString(w, "re: "+lines.Text()+"\n")
				w.(http.Flusher).Flush()
			}
		}
	})
	pr, pw := io.Pipe()
	go func() { _, _ = io.WriteString(pw, "one\n") }()
	res := must(http.Post(g.server.URL, "text/plain", pr))
	defer res.Body.Close()
	answers := bufio.NewScanner(res.Body)
	for _, next := range []string{"two", "three", ""} {
		if !answers.Scan() {
			t.Fatal("the answer broke off")
		}
		if next != "" {
			_, _ = io.WriteString(pw, next+"\n")
		}
	}
	pw.Close()
	if answers.Text() != "re: three" || answers.Scan() {
		t.Errorf("last: %q", answers.Text())
	}
}

// An upstream that answers before it has the whole body must not turn the rest
// of it into a request, whoever carries the request there.
func TestS10EarlyAnswerEndsItsConnection(t *testing.T) {
	t.Parallel()
	const inner = "GET /inner HTTP/1.1\r\nHost: h\r\nX_user_id: root\r\n\r\n"
	for _, scheme := range []string{"http", "h2c"} {
		for _, framing := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\nx", 1+len(inner)),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\nx", 1+len(inner)),
		} {
			g := newGateway(t, func(s *setup) {
				s.scheme = scheme
				s.upstream = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "no") }
				if scheme == "http" {
					s.routes[0].Upstreams = script(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
				}
			})
			conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\n"+framing)
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%s %q: %v", scheme, framing, err)
			}
			if body, err := io.ReadAll(res.Body); string(body) != "no" || err != nil {
				t.Errorf("%s %q: %q %v", scheme, framing, body, err)
			}
			<-g.done
			_, _ = io.WriteString(conn, inner)
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil || len(g.done) > 0 {
				t.Errorf("%s %q: then came %q, %v", scheme, framing, rest, err)
			}
			conn.Close()
		}
	}
}

// Over HTTP/2 such an answer ends its own stream and nobody else's.
func TestS10EarlyAnswerOverHTTP2(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.scheme = "h2c" })
	client := clients(t)["HTTP/2"]
	body, send := io.Pipe()
	defer send.Close()
	res := must(client.Post(g.server.URL, "text/plain", body))
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	<-g.done
	again := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { again = i.Reused }})
	res = must(client.Do(must(http.NewRequestWithContext(ctx, http.MethodGet, g.server.URL, nil))))
	res.Body.Close()
	if res.StatusCode != 200 || !again {
		t.Errorf("%d, on the same connection: %v", res.StatusCode, again)
	}
}

// closes counts how often a body was closed.
type closes struct {
	io.Reader
	n int
}

func (c *closes) Close() error { c.n++; return nil }

// A client's body that an upstream is done with is let go of over HTTP/2 alone:
// that of HTTP/1 would be read to its end first, and the request end with it.
func TestRequestBodyClose(t *testing.T) {
	for major, want := range []int{1: 0, 2: 1} {
		in := &closes{Reader: strings.NewReader("")}
		b := requestBody{x: &Exchange{in: &http.Request{ProtoMajor: major, Body: in}}}
		if err := b.Close(); err != nil || in.n != want {
			t.Errorf("HTTP/%d: closed %d times, %v", major, in.n, err)
		}
	}
}

// Without a bound the rest of a denied request's body has all the time.
func TestDeniedRequestWithoutBodyBound(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
		s.state.BodyIdleTimeout = 0
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo")
	<-g.done
	time.Sleep(50 * time.Millisecond) // a bound of nothing would be over
	_, _ = io.WriteString(conn, "dyGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if all := string(must(io.ReadAll(conn))); strings.Count(all, "HTTP/1.1 401") != 2 {
		t.Errorf("%q", all)
	}
}

// deadlines is a ResponseWriter that counts the read deadlines it is told.
type deadlines struct {
	http.ResponseWriter
	told int
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	d.told++
	return nil
}

// TestBodyIsReadWhenTheHandlerIsDone: net/http's client for HTTP/2 reads bodies in
// goroutines of its own, also when the answer is over. The ResponseWriter may be
// another request's by then.
func TestBodyIsReadWhenTheHandlerIsDone(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.state.BodyIdleTimeout = time.Second })
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("ab"))
	r.ProtoMajor, r.ProtoMinor = 2, 0
	x, w := newExchange(g.state, r, time.Now()), &deadlines{ResponseWriter: httptest.NewRecorder()}
	x.handler, x.writer, x.route = g.handler, w, g.state.table.routes[0]
	x.body.begin(x)
	read := func() {
		t.Helper()
		if n, err := x.body.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	read()
	if w.told == 0 {
		t.Error("a read under way has no bound")
	}
	x.body.abandon()
	w.told = 0
	read()
	_, err := x.body.Read(make([]byte, 1))
	x.body.converse()
	if err != io.EOF || w.told != 0 {
		t.Errorf("%v, told %d deadlines when the handler was done", err, w.told)
	}
}
