package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth"
)

// watched is a gateway whose streams may be idle for a second, and whose clients
// may take nothing for as long. The upstream speaks when its client does, or every
// 300 ms at /busy; silent has time pass in which it says nothing on a stream.
func watched(t *testing.T, now func() time.Time, silent func(time.Duration)) *gateway {
	g := newGateway(t, func(s *setup) {
		s.now = now
		s.routes = []*Route{route("all", "/", auth.None)}
		s.routes[0].WebSocket, s.routes[0].StreamIdle = true, time.Second
		s.state.WriteIdleTimeout, s.state.BodyIdleTimeout = time.Second, 200*time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Upgrade") != "":
				switching(w, r)
			case r.URL.Path == "/known":
				w.Header().Set("Content-Length", "4")
				_, _ = io.WriteString(w, "a\n")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(1200 * time.Millisecond)
				_, _ = io.WriteString(w, "b\n")
			case r.URL.Path == "/late":
				_ = http.NewResponseController(w).Flush()
				silent(800 * time.Millisecond) // longer than a recheck, within the limit
				_, _ = io.WriteString(w, "a\n")
			case r.URL.Path == "/hinted":
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(1200 * time.Millisecond)
				_, _ = io.WriteString(w, "a\n")
			case r.URL.Path == "/talk":
				_ = http.NewResponseController(w).EnableFullDuplex()
				_ = http.NewResponseController(w).Flush()
				_, _ = io.Copy(io.Discard, r.Body)
			default:
				times, pause := 2, 400*time.Millisecond
				if r.URL.Path == "/busy" {
					times, pause = 5, 300*time.Millisecond
				}
				for range times {
					_, _ = io.WriteString(w, "data: x\n")
					_ = http.NewResponseController(w).Flush()
					silent(pause)
				}
				if r.URL.Path == "/quiet" {
					<-r.Context().Done()
				}
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); _ = g.handler.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-over })
	return g
}

// clients speak HTTP/1.1 and HTTP/2.
func clients(t *testing.T) map[string]*http.Client {
	two := &http.Transport{Protocols: new(http.Protocols)}
	two.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(two.CloseIdleConnections)
	return map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{DisableKeepAlives: true}}, "HTTP/2": {Transport: two}}
}

// A stream without news is no client that takes nothing, and its end is a good
// one, however long it was quiet.
func TestQuietStreamsGoOn(t *testing.T) {
	for name, client := range clients(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The clock of the idle goes in silences alone, which begin when all has passed
			// that was on its way: a busy machine makes none longer.
			var g *gateway
			var clock atomic.Int64
			clock.Store(time.Now().UnixNano())
			now := func() time.Time { return time.Unix(0, clock.Load()) }
			passed := func() bool {
				g.handler.ongoing.mu.Lock()
				defer g.handler.ongoing.mu.Unlock()
				for x := range g.handler.ongoing.by {
					if x.passed.Load() != clock.Load() {
						return false
					}
				}
				return len(g.handler.ongoing.by) > 0
			}
			g = watched(t, now, func(d time.Duration) {
				for deadline := time.Now().Add(5 * time.Second); !passed() && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
				clock.Add(int64(d))
				g.handler.ongoing.recheck(t.Context(), g.state, now())
				if d > 300*time.Millisecond {
					time.Sleep(1200 * time.Millisecond) // longer than the bounds that have real clocks
				}
			})
			for path, lines := range map[string]int{"/busy": 5, "/short": 2, "/known": 2, "/late": 1, "/hinted": 1} {
				res, err := client.Get(g.server.URL + path)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if n := strings.Count(string(body), "\n"); n != lines || err != nil {
					t.Errorf("%s: %d lines, %v", path, n, err)
				}
			}
		})
	}
}

func TestP17IdleStreamsEnd(t *testing.T) {
	t.Parallel()
	g := watched(t, nil, time.Sleep)
	for name, client := range clients(t) {
		began := time.Now()
		res := must(client.Get(g.server.URL + "/quiet"))
		_, err := io.ReadAll(res.Body)
		res.Body.Close()
		if took := time.Since(began); err == nil || took < 1200*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: ended with %v after %s", name, err, took)
		}
		if line := g.accessLine(); line["reason"] != "upstream_timeout" || line["result"] != "error" {
			t.Errorf("%s: %v", name, line)
		}
	}
}

// What the client says counts as well, be it to an upstream that is silent.
func TestClientKeepsStreamAlive(t *testing.T) {
	t.Parallel()
	g := watched(t, nil, time.Sleep)
	for name, client := range clients(t) {
		body, send := io.Pipe()
		res := must(client.Post(g.server.URL+"/talk", "application/x-talk", body))
		for range 5 {
			time.Sleep(300 * time.Millisecond)
			if _, err := io.WriteString(send, "x"); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		_ = send.Close()
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		res.Body.Close()
	}
}

func TestP17IdleWebSocketsEnd(t *testing.T) {
	t.Parallel()
	g := watched(t, nil, time.Sleep)
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, upgrade+"\r\n")
	r := bufio.NewReader(conn)
	if res := must(http.ReadResponse(r, nil)); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%d", res.StatusCode)
	}
	for range 4 { // longer than the limit in all, from the client alone
		_, _ = io.WriteString(conn, "x")
		time.Sleep(400 * time.Millisecond)
	}
	_, _ = io.WriteString(conn, "\ntalk\n")
	if all, err := io.ReadAll(io.LimitReader(r, int64(len("xxxx\ntalk\nxxxx")))); string(all) != "xxxx\ntalk\nxxxx" { // and from the upstream alone
		t.Fatalf("%q %v", all, err)
	}
	quiet := time.Now()
	_, err := r.ReadByte()
	if took := time.Since(quiet); err == nil || took < 900*time.Millisecond || took > 5*time.Second {
		t.Errorf("ended with %v after %s", err, took)
	}
	if line := g.accessLine(); line["reason"] != "upstream_timeout" {
		t.Errorf("%v", line)
	}
}

// A client that goes on to talk when the answer is over has the time that a body
// has, and no more.
func TestD01ClientDoesNotFinish(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.state.BodyIdleTimeout = 200 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = r.Body.Read(make([]byte, 1))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(400 * time.Millisecond) // silence of the client's that is none of ours while the answer goes on
			_, _ = io.WriteString(w, "done")
			_ = http.NewResponseController(w).Flush()
		}
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
	all, err := io.ReadAll(conn)
	if !strings.Contains(string(all), "done") || err != nil {
		t.Errorf("%q %v", all, err)
	}
}

// Nor has it more in an answer of known length, which is no conversation.
func TestD01ClientDoesNotFinishBesideADownload(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.state.BodyIdleTimeout = 200 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(make([]byte, 1000))
			_ = http.NewResponseController(w).Flush()
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
	if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it is waited for")
	}
}

// A client that takes nothing of an answer does not keep it open, over HTTP/2
// either, where the flush waits and the others on the connection do not.
func TestD01HTTP2ClientTakesNothing(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.state.WriteIdleTimeout = 200 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/endless" {
				_, _ = io.Copy(w, zeros{})
			}
		}
	})
	client := clients(t)["HTTP/2"]
	res := must(client.Get(g.server.URL + "/endless"))
	defer res.Body.Close()
	if line := g.accessLine(); line["status"] != 200.0 || line["reason"] == "ok" {
		t.Errorf("logged %v", line)
	}
	other := must(client.Get(g.server.URL + "/"))
	other.Body.Close()
	if other.StatusCode != 200 {
		t.Errorf("%d", other.StatusCode)
	}
}

// limited is a client's side that can be given a deadline.
type limited struct {
	http.ResponseWriter
	until time.Time
}

func (w *limited) SetWriteDeadline(t time.Time) error { w.until = t; return nil }
func (w *limited) FlushError() error                  { return nil }
func (w *limited) Write(b []byte) (int, error) {
	if w.until.IsZero() {
		return 0, os.ErrNoDeadline
	}
	return len(b), nil
}

// No deadline is left behind a write where it would end more than the next one: a
// stream of HTTP/2, or a TLS connection whose client asks for new keys meanwhile.
func TestWriteDeadlineIsTakenOff(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"HTTP/2": {ProtoMajor: 2}, "TLS": {ProtoMajor: 1, TLS: &tls.ConnectionState{}},
	} {
		w := &limited{}
		x := &Exchange{in: r, writer: w, state: &State{writeIdle: time.Minute}}
		if _, err := x.Write([]byte("x")); err != nil || !w.until.IsZero() {
			t.Errorf("%s: %v, until %s", name, err, w.until)
		}
		if err := x.FlushError(); err != nil || !w.until.IsZero() {
			t.Errorf("%s: flushed, %v, until %s", name, err, w.until)
		}
	}
}

// Nor one that asks on and on, and takes none of the answers: each waits for those
// before it, with its first byte already.
func TestD01PipeliningClientTakesNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 8000)
	for name, upstream := range map[string]http.HandlerFunc{
		"in one write": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(long, 4)) },
		"no body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", long)
			w.WriteHeader(http.StatusNoContent)
		},
		"hints": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", long)
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("X")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, func(s *setup) {
				s.state.WriteIdleTimeout, s.upstream = 200*time.Millisecond, upstream
			})
			stop := make(chan struct{})
			defer close(stop)
			go func() { // so that no request waits for the test
				for {
					select {
					case <-g.done:
					case <-stop:
						return
					}
				}
			}()
			conn := must(net.Dial("tcp", g.server.Listener.Addr().String())).(*net.TCPConn)
			defer conn.Close()
			_ = conn.SetReadBuffer(16 << 10)
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			var err error
			for err == nil {
				_, err = io.WriteString(conn, strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 100))
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the gateway waits for it")
			}
		})
	}
}

// Nor does one that allows not a single byte, be the answer in one piece, too
// large for the buffers or one that is flushed as it comes.
func TestD01HTTP2ClientWithoutWindow(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(s *setup) {
		s.scheme = "h2c" // reads of whole frames
		s.state.WriteIdleTimeout = 200 * time.Millisecond
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/large":
				w.Header().Set("Content-Length", "100000")
				_, _ = w.Write(make([]byte, 100_000))
			case "/flushed":
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
			default:
				_, _ = io.WriteString(w, "x")
			}
		}
	})
	for _, path := range []string{"/small", "/large", "/flushed"} {
		conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		// RFC 9113 §6.5 and RFC 7541: SETTINGS_INITIAL_WINDOW_SIZE 0, and GET
		// from the static table with a literal path and authority.
		block := "\x82\x86\x04" + string(rune(len(path))) + path + "\x01\x01h"
		_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+
			"\x00\x00\x06\x04\x00\x00\x00\x00\x00"+"\x00\x04\x00\x00\x00\x00"+
			"\x00\x00"+string(rune(len(block)))+"\x01\x05\x00\x00\x00\x01"+block)
		for head := make([]byte, 9); head[3] != 3; { // RST_STREAM
			if _, err := io.ReadFull(conn, head); err != nil {
				t.Fatalf("%s: the stream is not reset: %v", path, err)
			}
			if _, err := io.CopyN(io.Discard, conn, int64(head[1])<<8|int64(head[2])); err != nil {
				t.Fatal(err)
			}
		}
		<-g.done
	}
}

// Connections of HTTP/1.1 clients stay open behind upstreams of HTTP/2.
func TestKeepAliveToHTTP2Upstream(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		s.scheme = "h2c"
		s.upstream = func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/all" {
				_, _ = io.Copy(w, r.Body)
			}
		}
	})
	conn := must(net.Dial("tcp", g.server.Listener.Addr().String()))
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(conn)
	for _, request := range []string{
		"POST /all HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
		"POST /all HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"GET /all HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /all HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
	} {
		_, _ = io.WriteString(conn, request)
		res := must(http.ReadResponse(r, nil))
		body := must(io.ReadAll(res.Body))
		if want := strings.Count(request, "body"); res.StatusCode != 200 || res.Close || strings.Count(string(body), "body") != want {
			t.Errorf("%q: %d %q", request, res.StatusCode, body)
		}
	}
	// An upstream that has answered before it has the whole body: so has the client.
	_, _ = io.WriteString(conn, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbo")
	if res := must(http.ReadResponse(r, nil)); res.StatusCode != 200 {
		t.Errorf("%d", res.StatusCode)
	}
}
