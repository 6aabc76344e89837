package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// roundTripper is what the suite is about.
type roundTripper interface {
	http.RoundTripper
	CloseIdleConnections()
}

// headerLimit is what both take of an answer's header.
const headerLimit = 64 << 10

// patience is for what must happen, and is not waited for otherwise.
const patience = 10 * time.Second

// config is what a test changes of both transports.
type config struct {
	timeout time.Duration // for the header
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// both runs a test with the transport of this package, and with the one whose
// promises it keeps.
func both(t *testing.T, cfg config, test func(t *testing.T, rt roundTripper)) {
	t.Helper()
	if cfg.dial == nil {
		cfg.dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	t.Run("ours", func(t *testing.T) { test(t, closing(t, ours(t, cfg))) })
	t.Run("net/http", func(t *testing.T) {
		test(t, closing(t, &http.Transport{
			DialContext: cfg.dial, ResponseHeaderTimeout: cfg.timeout, MaxIdleConnsPerHost: 100, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: headerLimit, DisableCompression: true,
		}))
	})
}

func ours(t testing.TB, cfg config) *Transport {
	t.Helper()
	if cfg.dial == nil {
		cfg.dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	rt, err := New(Config{
		Dial: cfg.dial, HeaderTimeout: cfg.timeout, MaxHeaderBytes: headerLimit, MaxIdlePerHost: 100, IdleTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func closing[T roundTripper](t *testing.T, rt T) T {
	t.Cleanup(rt.CloseIdleConnections)
	return rt
}

// server is an upstream that goes by a script, connection by connection.
type server struct {
	t        *testing.T
	url      string
	accepted atomic.Int32
	requests atomic.Int32
	conns    sync.WaitGroup
	ended    chan struct{} // gets one value for each connection that ended
}

// session is a connection to a server.
type session struct {
	*net.TCPConn
	server *server
	in     *bufio.Reader
	nth    int // from 1
}

// serve starts a server. When the script returns its connection is closed.
func serve(t *testing.T, script func(s *session)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, url: "http://" + l.Addr().String(), ended: make(chan struct{}, 100_000)}
	var open sync.Map
	s.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			nth := int(s.accepted.Add(1))
			s.conns.Go(func() {
				script(&session{c.(*net.TCPConn), s, bufio.NewReader(c), nth})
				open.Delete(c)
				c.Close()
				s.ended <- struct{}{}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		s.conns.Wait()
	})
	return s
}

// request reads the next request with its body; nil at the connection's end.
func (s *session) request() *http.Request {
	r := s.head()
	if r == nil {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return r
}

// head reads the next request up to its body.
func (s *session) head() *http.Request {
	r, err := http.ReadRequest(s.in)
	if err != nil {
		return nil
	}
	s.server.requests.Add(1)
	return r
}

func (s *session) say(text string) { _, _ = io.WriteString(s, text) }

// untilClosed waits for the client to close the connection.
func (s *session) untilClosed() { _, _ = io.Copy(io.Discard, s.in) }

// answering answers each request with the same bytes.
func answering(t *testing.T, answer string) *server {
	return serve(t, func(s *session) {
		for s.request() != nil {
			s.say(answer)
		}
	})
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// request makes a request without a body.
func (s *server) request(method string) *http.Request {
	return s.upload(method, nil, 0)
}

// upload makes a request with a body.
func (s *server) upload(method string, body io.Reader, length int64) *http.Request {
	u, err := url.Parse(s.url + "/path?query")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	r := (&http.Request{Method: method, URL: u, Host: "gateway.example", Header: http.Header{"User-Agent": {""}}, ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if body != nil {
		r.Body, r.ContentLength = io.NopCloser(body), length
	}
	return r
}

// fetch is a round trip to the end of the answer's body.
func fetch(rt http.RoundTripper, r *http.Request) (res *http.Response, body string, err error) {
	res, err = rt.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

// traced adds a trace that takes down informational answers.
func traced(r *http.Request, got func(status int, h textproto.MIMEHeader) error) *http.Request {
	return r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: got}))
}

// within fails the test when something does not happen.
func within(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(patience):
		t.Fatalf("%s: waited in vain", what)
	}
}
