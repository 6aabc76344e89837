package wire

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// secured returns a config with TLS and one for its clients.
func secured(t testing.TB) (Config, *tls.Config) {
	ts := httptest.NewTLSServer(nil) // for its certificate
	ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	cfg := testConfig
	cfg.TLS = &tls.Config{Certificates: ts.TLS.Certificates}
	return cfg, &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

func TestTLS(t *testing.T) {
	cfg, clientTLS := secured(t)
	addr := serve(t, cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := CheckRequest(r); f != nil {
			answerFault(w, f)
			return
		}
		if r.TLS == nil || r.TLS.ServerName != "example.com" {
			t.Errorf("TLS state %+v", r.TLS)
		}
		io.WriteString(w, r.Proto+"\n")
		io.Copy(w, r.Body)
	}))
	for _, h2 := range []bool{false, true} {
		proto := new(http.Protocols)
		proto.SetHTTP1(!h2)
		proto.SetHTTP2(h2)
		hc := http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS.Clone(), Protocols: proto}}
		want := map[bool]string{false: "HTTP/1.1\n", true: "HTTP/2.0\n"}[h2]
		for range 3 {
			resp, err := hc.Post("https://"+addr.String(), "", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != want+"body" {
				t.Errorf("h2 %v: answer %s %q", h2, resp.Status, body)
			}
		}
		req, _ := http.NewRequest("GET", "https://"+addr.String(), nil)
		req.Header["x_user_id"] = []string{"root"}
		resp, err := hc.Do(req)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("h2 %v: TestH03: answer %v, error %v; want 400", h2, resp, err)
		}
		hc.CloseIdleConnections()
	}
	raw, err := tls.Dial("tcp", addr.String(), clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, raw)
	c.send("GET /#f HTTP/1.1\r\nHost: h\r\n\r\n" + strings.Repeat("x", 100<<10))
	if resp, _ := c.answer("GET"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("answer %s", resp.Status)
	}
	c.wantClosed()
}

func TestHTTPOnTLSListener(t *testing.T) {
	cfg, _ := secured(t)
	var h recorder
	c := dial(t, serve(t, cfg, &h))
	c.send(get + "\r\n")
	if resp, body := c.answer("GET"); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "without TLS") {
		t.Errorf("answer %s %q", resp.Status, body)
	}
	c.wantClosed()
}

// Clients that do not finish their handshake keep nobody waiting, and are gone
// when the listener closes or their time is up.
func TestD01SlowHandshake(t *testing.T) {
	cfg, clientTLS := secured(t)
	var h recorder
	addr := serve(t, cfg, &h)
	for range 20 {
		dial(t, addr).send("\x16\x03\x01")
	}
	raw, err := tls.Dial("tcp", addr.String(), clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, raw)
	c.send(get + "\r\n")
	c.echo()

	cfg.ReadHeaderTimeout = 10 * time.Millisecond
	short := dial(t, serve(t, cfg, &h))
	short.send("\x16\x03\x01")
	if rest, err := io.ReadAll(short); err != nil {
		t.Errorf("got %q, error %v; want an end", rest, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.ReadHeaderTimeout = time.Hour
	n, err := NewListener(l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	go func() {
		_, err := n.Accept()
		accepted <- err
	}()
	stuck := dial(t, l.Addr())
	stuck.send("\x16\x03\x01")
	n.Close() // waits for the handshake
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := n.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

// closing notes that it was closed.
type closing struct {
	net.Conn
	closed atomic.Bool
}

func (c *closing) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

func TestCloseJoinsHandshakes(t *testing.T) {
	cfg, _ := secured(t)
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	l, err := NewListener(p, cfg)
	if err != nil {
		t.Fatal(err)
	}
	go l.Accept()
	far, near := net.Pipe()
	c := &closing{Conn: near}
	p.conns <- c
	far.Write([]byte{0x16}) // returns when the handshake has read it
	l.Close()
	if !c.closed.Load() {
		t.Error("the connection is open after Close")
	}
}

// Accept ends when there is nothing more to accept, whatever it waits for.
func TestAcceptEnds(t *testing.T) {
	secure, _ := secured(t)
	limited := testConfig
	limited.MaxConnections = 1
	for name, row := range map[string]struct {
		cfg Config
		end func(l *Listener, below net.Listener)
	}{
		"plain, closed":         {testConfig, func(l *Listener, _ net.Listener) { l.Close() }},
		"plain, closed below":   {testConfig, func(_ *Listener, below net.Listener) { below.Close() }},
		"TLS, closed":           {secure, func(l *Listener, _ net.Listener) { l.Close() }},
		"TLS, closed below":     {secure, func(_ *Listener, below net.Listener) { below.Close() }},
		"waiting for a slot":    {limited, func(l *Listener, _ net.Listener) { l.Close() }},
		"before the first call": {secure, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{conns: make(chan net.Conn, 1), done: make(chan struct{})}
			l, err := NewListener(p, row.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if row.cfg.MaxConnections > 0 {
				_, near := net.Pipe()
				p.conns <- near
				if _, err := l.Accept(); err != nil {
					t.Fatal(err)
				}
			}
			if row.end == nil {
				l.Close()
			}
			ended := make(chan error, 1)
			go func() {
				_, err := l.Accept()
				ended <- err
			}()
			synctest.Wait()
			if row.end != nil {
				row.end(l, p)
			}
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: Accept: %v", name, err)
			}
		})
	}
}

// The time for the handshake is over with the handshake.
func TestTLSConnectionOutlivesItsHandshake(t *testing.T) {
	cfg, clientTLS := secured(t)
	cfg.TLS.SessionTicketsDisabled = true // nobody reads them on a pipe
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		l, err := NewListener(p, cfg)
		if err != nil {
			t.Fatal(err)
		}
		valid := cfg.TLS.Certificates[0].Leaf.NotBefore
		clientTLS.Time = func() time.Time { return valid.Add(time.Hour) } // the bubble's year is 2000
		var h recorder
		serveOn(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second)
			h.ServeHTTP(w, r)
		}))
		far, near := net.Pipe()
		p.conns <- near
		c := newClient(t, tls.Client(far, clientTLS))
		c.SetDeadline(time.Time{})
		for range 2 {
			c.send(get + "\r\n")
			c.echo()
		}
	})
}

func TestGarbageOnTLSListener(t *testing.T) {
	cfg, _ := secured(t)
	var h recorder
	c := dial(t, serve(t, cfg, &h))
	c.send(strings.Repeat("\x05", 100))
	if rest, _ := io.ReadAll(c.r); bytes.Contains(rest, []byte("HTTP")) {
		t.Errorf("answer %q", rest)
	}
}

// pipes is a listener of connections that take no time.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestD01Slowloris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		l, err := NewListener(p, testConfig)
		if err != nil {
			t.Fatal(err)
		}
		var h recorder
		serveOn(t, l, &h) // its own header timeout is longer, 10 s
		connect := func() *client {
			c, s := net.Pipe()
			p.conns <- s
			n := newClient(t, c)
			c.SetDeadline(time.Time{})
			return n
		}
		since := func(start time.Time, want time.Duration) {
			t.Helper()
			if took := time.Since(start); took < want || took > want+lingerTime {
				t.Errorf("took %s, want %s", took, want)
			}
		}
		timeout := func(c *client) {
			t.Helper()
			if resp, _ := c.answer("GET"); resp.StatusCode != http.StatusRequestTimeout {
				t.Errorf("answer %s, want 408", resp.Status)
			}
			c.wantClosed()
		}
		start := time.Now()
		connect().wantClosed() // nothing sent: no answer either
		since(start, 5*time.Second)

		start = time.Now()
		c := connect()
		for range 4 {
			time.Sleep(time.Second)
			c.send("G")
		}
		timeout(c) // one byte a second wins no time
		since(start, 5*time.Second)

		c = connect()
		c.send(get + "\r\n")
		c.echo()
		time.Sleep(20 * time.Second) // idle
		start = time.Now()
		c.send("GET / HTTP/1.1\r\n")
		time.Sleep(4 * time.Second)
		c.send("Host: h\r\n")
		timeout(c)
		since(start, 5*time.Second)

		c = connect()
		c.send(post + "Content-Length: 1\r\n\r\n")
		time.Sleep(time.Minute) // the body's time is not ours to bound
		c.send("x")
		c.echo()
		start = time.Now()
		c.wantClosed() // after the idle timeout
		since(start, 30*time.Second)
	})
}

func TestD04MaxConnections(t *testing.T) {
	cfg := testConfig
	cfg.MaxConnections = 2
	logged := make(lines, 10)
	cfg.Log = slog.New(slog.NewTextHandler(logged, nil))
	var h recorder
	addr := serve(t, cfg, &h)
	one := dial(t, addr)
	one.send(get + "\r\n")
	one.echo()
	if len(logged) > 0 {
		t.Errorf("one of two is open, and the log says %s", <-logged)
	}
	two, three := dial(t, addr), dial(t, addr)
	two.send(get + "\r\n")
	two.echo()
	three.send(get + "\r\n")
	three.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := three.r.Peek(1); err == nil {
		t.Error("a third connection was served")
	}
	three.SetReadDeadline(time.Now().Add(20 * time.Second))
	three.r.Reset(three.Conn)
	if line := <-logged; !strings.Contains(line, "level=WARN") || !strings.Contains(line, "max_connections=2") {
		t.Errorf("the limit was met, and the log says %s", line)
	}
	one.Close()
	three.echo()
	two.send("GET /# HTTP/1.1\r\n\r\n") // lingers, but not for ever, and frees its slot
	two.answer("GET")
	two.wantClosed()
	four := dial(t, addr)
	four.send(get + "\r\n")
	four.echo()
	if len(logged) > 0 {
		t.Errorf("the limit was met again within a minute, and the log says %s", <-logged)
	}
}

// A listener that waits for one of its connections to end can be closed.
func TestCloseWhileAllConnectionsAreOpen(t *testing.T) {
	cfg := testConfig
	cfg.MaxConnections = 1
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewListener(tcp, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, tcp.Addr())
	defer c.Close()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	over := make(chan error, 1)
	go func() { _, err := l.Accept(); over <- err }()
	_ = l.Close()
	select {
	case err := <-over:
		if !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Accept goes on")
	}
}

// lines is a log that can be waited for.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// failing fails to accept as a process does that is out of files.
type failing struct {
	net.Listener
	left int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left > 0 {
		f.left--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestD04AcceptBacksOff(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cfg := testConfig
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	l, err := NewListener(&failing{raw, 3}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	go net.Dial("tcp", raw.Addr().String())
	start := time.Now()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if took := time.Since(start); took < 35*time.Millisecond {
		t.Errorf("three failures took %s, want 5+10+20 ms", took)
	}
	if n := strings.Count(log.String(), "too many open files"); n != 3 {
		t.Errorf("%d warnings in %s", n, &log)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

func TestNewListenerRefuses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no header bytes":      func(c *Config) { c.MaxHeaderBytes = 0 },
		"no header timeout":    func(c *Config) { c.ReadHeaderTimeout = 0 },
		"negative connections": func(c *Config) { c.MaxConnections = -1 },
		"no logger":            func(c *Config) { c.Log = nil },
	} {
		cfg := testConfig
		change(&cfg)
		if _, err := NewListener(nil, cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
