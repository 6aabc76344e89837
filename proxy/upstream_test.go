package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth"
)

// script is an upstream that answers each connection's first request with
// bytes, after which it closes.
func script(t *testing.T, bytes string) []Upstream {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, bytes)
			c.Close()
		}
	}()
	return []Upstream{{URL: &url.URL{Scheme: "http", Host: l.Addr().String()}}}
}

func TestUpstreamFailures(t *testing.T) {
	t.Parallel()
	refused := []Upstream{{URL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}} // nobody listens there
	silent := must(net.Listen("tcp", "127.0.0.1:0"))
	defer silent.Close()
	for _, c := range []struct {
		name      string
		upstreams []Upstream
		status    int
		code      string
	}{
		{"refused", refused, 502, "upstream_unavailable"},
		{"silent", []Upstream{{URL: &url.URL{Scheme: "http", Host: silent.Addr().String()}}}, 504, "upstream_timeout"},
		{"no TLS", []Upstream{{URL: &url.URL{Scheme: "https", Host: silent.Addr().String()}}}, 504, "upstream_timeout"},
		{"hangs up", script(t, ""), 502, "upstream_unavailable"},
		{"not HTTP", script(t, "SSH-2.0-secret-banner\r\n\r\n"), 502, "upstream_unavailable"},
		{"bad header", script(t, "HTTP/1.1 200 OK\r\nSet-Cookie secret\r\n\r\n"), 502, "upstream_unavailable"},
		{"huge header", script(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 80<<10)+"\r\n\r\n"), 502, "upstream_unavailable"},
		{"unasked switch", script(t, "HTTP/1.1 101 Switching Protocols\r\n\r\n"), 502, "upstream_unavailable"},
		{"unasked upgrade", script(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), 502, "upstream_unavailable"},
		{"hints only", script(t, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), 103, ""},
	} {
		g := newGateway(t, func(s *setup) {
			s.routes[0].Upstreams = c.upstreams
			if c.status == http.StatusGatewayTimeout { // elsewhere a busy machine would not be told from a silent upstream
				s.routes[0].Timeout = 300 * time.Millisecond
			}
		})
		a := g.get("/")
		if a.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.name, a.StatusCode, a.body)
		}
		if c.code == "" {
			continue
		}
		g.refused(a, c.status, c.code)
		line := g.accessLine()
		if line["reason"] != c.code || line["result"] != "error" || line["status"] != float64(c.status) {
			t.Errorf("%s: logged %v", c.name, line)
		}
		if !strings.Contains(g.log.String(), `"level":"WARN","msg":"request failed"`) || strings.Contains(g.log.String(), "secret") {
			t.Errorf("%s: log %s", c.name, g.log)
		}
	}
}

func TestD06TruncatedAnswerIsBroken(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		g := newGateway(t, func(s *setup) { s.routes[0].Upstreams = script(t, head) })
		if res, err := http.Get(g.server.URL); err == nil { // the header can have been sent or not
			body, err := io.ReadAll(res.Body)
			if err == nil || !strings.HasPrefix("half", string(body)) {
				t.Errorf("clean end after %q: %v", body, err)
			}
		}
		if line := g.accessLine(); line["reason"] != "upstream_unavailable" || line["result"] != "error" || line["status"] != 200.0 {
			t.Errorf("logged %v", line)
		}
		// The end of such an answer is that of its connection.
		conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\nHost: h\r\n\r\n")
		if all, err := io.ReadAll(conn); err == nil {
			t.Errorf("HTTP/1.0: clean end after %q", all)
		}
	}
}

func TestD06TimeoutIsUntilTheHeader(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.routes[0].Timeout = 150 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			time.Sleep(400 * time.Millisecond)
			_, _ = io.WriteString(w, "late")
		}
	})
	if a := g.get("/"); a.StatusCode != 200 || a.body != "late" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// An upstream that takes no more of a body is the upstream's fault; a client
// that is slow to send it is not.
func TestD06StalledUpload(t *testing.T) {
	t.Parallel()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	g := newGateway(t, func(s *setup) {
		s.routes[0].Upstreams = []Upstream{{URL: &url.URL{Scheme: "http", Host: l.Addr().String()}}}
		s.routes[0].Timeout = 300 * time.Millisecond
	})
	res, err := http.Post(g.server.URL, "text/plain", bytes.NewReader(make([]byte, 64<<20)))
	if err == nil {
		defer res.Body.Close()
		if res.StatusCode != 504 {
			t.Errorf("%d", res.StatusCode)
		}
	}
	if line := g.accessLine(); line["reason"] != "upstream_timeout" {
		t.Errorf("logged %v", line)
	}
}

func TestSlowUploadIsNotTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.routes[0].Timeout = 200 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }
	})
	pr, pw := io.Pipe()
	go func() {
		for _, pause := range []time.Duration{350, 100, 100, 100} { // once for longer than the timeout
			time.Sleep(pause * time.Millisecond)
			_, _ = io.WriteString(pw, "x")
		}
		pw.Close()
	}()
	res := must(http.Post(g.server.URL, "text/plain", pr))
	defer res.Body.Close()
	if body := must(io.ReadAll(res.Body)); res.StatusCode != 200 || string(body) != "xxxx" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestClientGoesAway(t *testing.T) {
	arrived, released := make(chan struct{}), make(chan struct{})
	g := newGateway(t, func(s *setup) {
		s.upstream = func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done() // D07: the upstream is let go too
			close(released)
		}
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-arrived
	conn.Close()
	<-released
	if line := g.accessLine(); line["reason"] != "client_closed" || line["status"] != 499.0 || line["result"] != "error" {
		t.Errorf("logged %v", line)
	}
}

func TestClientGoesAwayDuringItsBody(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.upstream = echo })
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String())).(*net.TCPConn)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
	for g.receivedSoFar() == 0 {
		time.Sleep(time.Millisecond)
	}
	_ = conn.SetLinger(0) // reset
	conn.Close()
	if line := g.accessLine(); line["reason"] != "client_closed" || line["status"] != 499.0 {
		t.Errorf("logged %v", line)
	}
}

func TestClientGoesAwayDuringTheAnswer(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.upstream = func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	_, _ = io.ReadFull(conn, make([]byte, 1000))
	conn.Close()
	if line := g.accessLine(); line["reason"] != "client_closed" || line["status"] != 200.0 {
		t.Errorf("logged %v", line)
	}
}

func TestD01ClientTakesNothing(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.state.WriteIdleTimeout = 200 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(w, zeros{}, map[string]int64{"/endless": 1 << 40, "/long": 200_000, "/short": 10}[r.URL.Path])
		}
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
	if line := g.accessLine(); line["reason"] != "client_closed" || line["status"] != 200.0 {
		t.Errorf("logged %v", line)
	}
	// The deadline of an answer is not that of the next on its connection.
	conn = must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, path := range []string{"/long", "/short"} {
		_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if n, err := io.Copy(io.Discard, res.Body); n < 10 || err != nil {
			t.Errorf("%s: %d bytes, %v", path, n, err)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestS11UpstreamConnectionsAreReusedOnlyWhenClean(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.upstream = func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }
	})
	conns := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		distinct := map[string]bool{}
		for _, r := range g.received {
			distinct[r.RemoteAddr] = true
		}
		return len(distinct)
	}
	for range 5 {
		g.get("/")
	}
	if n := conns(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if a := g.raw("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n"); a.StatusCode != 400 {
		t.Errorf("broken body: %d", a.StatusCode)
	}
	g.get("/")
	if n := conns(); n != 2 {
		t.Errorf("the connection of the broken request was used again: %d", n)
	}
}

// The header that comes in the moment in which the wait ends loses.
func TestHeaderComesTooLate(t *testing.T) {
	g := newGateway(t, nil)
	x := newExchange(g.state, httptest.NewRequest("GET", "/", nil), time.Now())
	x.handler = g.handler
	x.wait.state.Store(waitExpired)
	r := x.in.WithContext(context.WithValue(context.Background(), exchangeKey{}, x))
	err := modifyResponse(&http.Response{StatusCode: 200, Header: http.Header{}, Request: r})
	if err == nil || x.classify(err).reason != auth.UpstreamTimeout {
		t.Errorf("%v", err)
	}
}

// settling is a body whose Read ends the request's context before it returns,
// as net/http's do.
type settling struct{ begun, end chan struct{} }

func (s settling) Read([]byte) (int, error) {
	close(s.begun)
	<-s.end
	return 0, io.ErrUnexpectedEOF
}

func TestFaultOfTheBodyIsWaitedFor(t *testing.T) {
	g := newGateway(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	body := settling{make(chan struct{}), make(chan struct{})}
	x := newExchange(g.state, httptest.NewRequestWithContext(ctx, "POST", "/", io.NopCloser(body)), time.Now())
	x.handler, x.writer, x.route = g.handler, httptest.NewRecorder(), g.state.table.routes[0]
	x.body.begin(x)
	go func() { _, _ = x.body.Read(make([]byte, 1)) }()
	<-body.begun
	cancel()
	time.AfterFunc(20*time.Millisecond, func() { close(body.end) })
	if p := x.classify(context.Canceled); p.reason != auth.RequestMalformed {
		t.Errorf("%v", p.reason)
	}
}

func TestDescribeErrorTellsNoContents(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New(`malformed HTTP response "Set-Cookie: secret"`), "broke off, or is not HTTP"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "connection refused"},
		{fmt.Errorf("wrapped: %w", errUpstream("why")), "why"},
	} {
		if got := describeError(c.err); !strings.Contains(got, c.want) || strings.Contains(got, "secret") {
			t.Errorf("%v: %s", c.err, got)
		}
	}
}

func TestTimeoutWhileConnecting(t *testing.T) {
	x := &Exchange{in: httptest.NewRequest("GET", "/", nil)}
	p := x.classify(fmt.Errorf("wrapped: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}))
	if p.reason != auth.UpstreamTimeout || !strings.HasPrefix(p.detail, "dial tcp") {
		t.Errorf("%s: %s", p.reason, p.detail)
	}
}

func TestUpstreamMetrics(t *testing.T) {
	g := newGateway(t, func(s *setup) { s.routes = []*Route{route("all", "/", auth.APIKeyOnly)} })
	g.get("/")
	g.get("/", "Api-Key: "+apiKey)
	<-g.done
	<-g.done
	c := g.counts
	if fmt.Sprint(c.requests) != "[{GET 401} {GET 200}]" || fmt.Sprint(c.decisions) != "[api_key_missing ok]" || c.upstream != 1 {
		t.Errorf("%v %v %d", c.requests, c.decisions, c.upstream)
	}
}

// Connections to an upstream outlive a reload while a route needs them as they
// are, however they were made, and end with the handler.
func TestConnectionsToUpstreams(t *testing.T) {
	var opened, open atomic.Int32
	together := make(chan struct{}, 3)
	upstream := func(start func(*httptest.Server), p *http.Protocols) *url.URL {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "" { // answered when there are as many requests at a time as it says
				together <- struct{}{}
				for len(together) < cap(together) {
					time.Sleep(time.Millisecond)
				}
			}
		}))
		s.Config.Protocols, s.Config.ErrorLog = p, slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				opened.Add(1)
				open.Add(1)
			case http.StateClosed:
				open.Add(-1)
			}
		}
		start(s)
		t.Cleanup(s.Close)
		return must(url.Parse(s.URL))
	}
	plain, secure := upstream((*httptest.Server).Start, withH2C()), upstream((*httptest.Server).StartTLS, nil)
	believing := &UpstreamTLS{Config: &tls.Config{InsecureSkipVerify: true}, ID: "any"}
	table := func(timeout time.Duration) (all []*Route) {
		for _, scheme := range []string{"http", "h2c", "https"} {
			r := route(scheme, "/"+scheme, auth.None)
			r.Upstreams, r.Timeout = []Upstream{{URL: &url.URL{Scheme: scheme, Host: plain.Host}}}, timeout
			if scheme == "https" {
				r.Upstreams[0].URL, r.TLS = secure, believing
			}
			all = append(all, r)
		}
		return all
	}
	g := newGateway(t, func(s *setup) { s.routes = table(0) })
	reload := func(timeout time.Duration) {
		g.state = must(NewState(StateConfig{
			Gate: g.state.gate, Routes: table(timeout), APIKeyHeader: "Api-Key",
			Observer: func(string) Observer { return g.counts }, Renewal: func(string, auth.RenewResult) {},
		}))
	}
	ask := func(targets ...string) {
		t.Helper()
		for _, target := range targets {
			if a := g.get(target); a.StatusCode != 200 {
				t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
			}
		}
	}
	left := func(want int32) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); open.Load() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d are open, want %d", open.Load(), want)
			}
		}
	}
	ask("/http", "/h2c", "/https")
	reload(0)
	ask("/http", "/h2c", "/https")
	if n := opened.Load(); n != 3 {
		t.Errorf("%d connections to three upstreams, over a reload", n)
	}
	reload(time.Minute)
	ask("/http")
	left(1)
	// Of those that were in use together, all are kept.
	before := opened.Load()
	for range 2 {
		var all sync.WaitGroup
		for range cap(together) {
			all.Go(func() { ask("/https?3") })
		}
		all.Wait()
		for range cap(together) {
			<-together
		}
	}
	if n := opened.Load() - before; n != 3 {
		t.Errorf("%d connections for three requests at a time", n)
	}
	ask("/h2c")
	left(5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = g.handler.Run(ctx)
	left(0)
}

// Plain HTTP/1.1 is for our own transport, which takes half of the time.
func TestPlainUpstreamsAreForTheirTransport(t *testing.T) {
	g := newGateway(t, nil)
	g.get("/")
	g.state.table.routes[0].way.Load().other = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the other transport was asked")
	}}
	if a := g.get("/"); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
}

// Bounds that no test can wait for.
func TestWay(t *testing.T) {
	for timeout, connecting := range map[time.Duration]time.Duration{0: dialTimeout, time.Second: time.Second, time.Hour: dialTimeout} {
		w := must(newWay(timeout, nil))
		for _, h := range []*http.Transport{w.other, w.h2c} {
			if h.TLSHandshakeTimeout != connecting || h.TLSClientConfig.MinVersion != tls.VersionTLS12 || h.IdleConnTimeout != idleTimeout || h.HTTP2.SendPingTimeout != pingAfter || h.HTTP2.PingTimeout != pingTimeout {
				t.Errorf("%s: %+v", timeout, h)
			}
		}
	}
}

func TestHugeHeaderOverHTTP2(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.scheme = "h2c"
		s.upstream = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 80<<10)) }
	})
	if a := g.get("/"); a.StatusCode != 502 {
		t.Errorf("%d", a.StatusCode)
	}
}
