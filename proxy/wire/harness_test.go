package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var testConfig = Config{
	MaxHeaderBytes:    32 << 10,
	ReadHeaderTimeout: 5 * time.Second,
	Log:               slog.New(slog.DiscardHandler),
}

// seen is what a handler understood of a request.
type seen struct {
	Method, Target, Host string
	Header               http.Header
	Body                 string
}

// recorder answers faults as the gateway does and echoes what else comes.
type recorder struct{ reached atomic.Int32 }

func (h *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := FaultOf(r.Context()); f != nil {
		answerFault(w, f)
		return
	}
	body, err := io.ReadAll(r.Body)
	if f := FaultOf(r.Context()); f != nil {
		if err == nil {
			panic("a body at fault was read to its end")
		}
		answerFault(w, f)
		return
	}
	h.reached.Add(1)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if len(r.Trailer) > 0 {
		panic(fmt.Sprintf("trailers reached the handler: %v", r.Trailer))
	}
	json.NewEncoder(w).Encode(seen{r.Method, r.RequestURI, r.Host, r.Header, string(body)})
}

func answerFault(w http.ResponseWriter, f *Fault) {
	w.Header().Set("X-Reason", f.Reason.String())
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Detail)
}

// serve runs an http.Server on a checked listener until the test ends.
func serve(t testing.TB, cfg Config, h http.Handler) net.Addr {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewListener(raw, cfg)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, h)
	return raw.Addr()
}

func serveOn(t testing.TB, l net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler: h, ConnContext: ConnContext, ConnState: ConnState,
		MaxHeaderBytes: 64 << 10, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 30 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	if checked, ok := l.(*Listener); ok && checked.cfg.H2C {
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetUnencryptedHTTP2(true)
	}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

// client is a raw connection that fails the test rather than to hang.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr net.Addr) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, c)
}

func newClient(t testing.TB, c net.Conn) *client {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c, raw); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one response; method is that of its request.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("answer %s cut off: %v", resp.Status, err)
	}
	return resp, string(body)
}

// echo reads one response of a recorder that understood a request.
func (c *client) echo() seen {
	c.t.Helper()
	resp, body := c.answer("GET")
	var s seen
	if err := json.Unmarshal([]byte(body), &s); resp.StatusCode != http.StatusOK || err != nil {
		c.t.Fatalf("answer %s %q, want an echo", resp.Status, body)
	}
	return s
}

func (c *client) wantClosed() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("after the answer came %q and error %v, want a clean end", rest, err)
	}
}

// script is a connection on which the pieces come one at a time.
type script struct {
	net.Conn
	pieces [][]byte
	end    error
}

func (s *script) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		return 0, s.end
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces) == 1 && len(s.pieces[0]) == 0 {
		return n, s.end // both at once, as an io.Reader may
	}
	return n, nil
}
func (s *script) SetReadDeadline(time.Time) error { return nil }
func (s *script) RemoteAddr() net.Addr            { return &net.TCPAddr{} }
func (s *script) Close() error                    { return nil }

func scripted(t testing.TB, cfg Config, pieces ...[]byte) *Conn {
	l, err := NewListener(nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l.conn(&script{pieces: pieces, end: io.EOF}, time.Now())
}

// understood reads what net/http would of the pieces: the requests that get
// to a handler whole, and the fault that ends them.
func understood(t testing.TB, cfg Config, pieces ...[]byte) ([]seen, *Fault) {
	t.Helper()
	c := scripted(t, cfg, pieces...)
	ctx := ConnContext(context.Background(), c)
	r := bufio.NewReader(c)
	var all []seen
	for {
		req, err := http.ReadRequest(r)
		if f := FaultOf(ctx); f != nil && (c.stage == stageRefused) {
			if err != nil {
				t.Fatalf("the stand-in is refused: %v", err)
			}
			return all, f
		}
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			t.Fatalf("net/http refuses what passed: %v", err)
		}
		body, err := io.ReadAll(req.Body)
		if f := FaultOf(ctx); f != nil {
			if err == nil {
				t.Fatal("a body at fault was read to its end")
			}
			return all, f
		}
		if err != nil {
			if !strings.Contains(err.Error(), "unexpected EOF") { // the stream ended within a body
				t.Fatalf("net/http refuses a body that passed: %v", err)
			}
			return all, nil
		}
		if len(req.Trailer) > 0 {
			t.Fatalf("trailers passed: %v", req.Trailer)
		}
		all = append(all, seen{req.Method, req.RequestURI, req.Host, req.Header, string(body)})
	}
}

// bytewise cuts s into single bytes.
func bytewise(s string) [][]byte {
	return slices.Collect(slices.Chunk([]byte(s), 1))
}

// show is a seen in one comparable line.
func (s seen) String() string {
	var b strings.Builder
	s.Header.Write(&b)
	return fmt.Sprintf("%s %s %s %q %q", s.Method, s.Target, s.Host, b.String(), s.Body)
}

func sameRequests(a, b []seen) bool {
	return slices.EqualFunc(a, b, func(a, b seen) bool { return a.String() == b.String() })
}

func chunked(chunks ...string) string {
	var b bytes.Buffer
	for _, c := range chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	return b.String() + "0\r\n\r\n"
}
