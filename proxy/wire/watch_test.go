package wire

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// watched runs a test within a bubble in which a server's connections take no
// time.
func watched(t *testing.T, h http.HandlerFunc, test func(t *testing.T, connect func() *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		l, err := NewListener(p, testConfig)
		if err != nil {
			t.Fatal(err)
		}
		serveOn(t, l, h)
		test(t, func() *client {
			far, near := net.Pipe()
			p.conns <- near
			c := newClient(t, far)
			far.SetDeadline(time.Time{})
			return c
		})
	})
}

// A client that leaves while the handler runs ends the request's context: at
// once, or when the watch begins.
func TestClientThatLeavesIsNoticedInTime(t *testing.T) {
	var ended time.Time
	for leaves, notices := range map[time.Duration]time.Duration{
		time.Millisecond: watchAfter, watchAfter + time.Millisecond: watchAfter + time.Millisecond, time.Hour: time.Hour,
	} {
		for _, request := range []string{get + "\r\n", post + "Content-Length: 1\r\n\r\nx"} {
			watched(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				ended = time.Now()
			}, func(t *testing.T, connect func() *client) {
				c := connect()
				start := time.Now()
				c.send(request)
				time.Sleep(leaves)
				c.Close()
				time.Sleep(2 * watchAfter)
				synctest.Wait()
				if took := ended.Sub(start); took != notices {
					t.Errorf("left after %s, noticed after %s, want %s", leaves, took, notices)
				}
			})
		}
	}
}

// One that ends its half only, as net/http takes it, is gone too, and gets what
// there is for it.
func TestHalfClosedClient(t *testing.T) {
	c := dial(t, serve(t, testConfig, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		_, _ = io.WriteString(w, "bye")
	})))
	c.send(get + "\r\n")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, body := c.answer("GET"); body != "bye" {
		t.Errorf("answer %q", body)
	}
	c.wantClosed()
}

// The next request, or a byte of it, ends the watch, but not the request that
// is being handled.
func TestRequestDuringTheWatch(t *testing.T) {
	h := new(recorder)
	for _, comes := range []time.Duration{time.Millisecond, 5 * watchAfter} {
		for split := 1; split < len(next); split += 7 {
			watched(t, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(10 * watchAfter)
				if err := r.Context().Err(); err != nil {
					t.Errorf("%s: the context ended: %v", r.URL, err)
				}
				h.ServeHTTP(w, r)
			}, func(t *testing.T, connect func() *client) {
				c := connect()
				c.send(get + "\r\n")
				go func() { // nobody may read it before it is asked for
					time.Sleep(comes)
					_, _ = io.WriteString(c, next[:split])
					time.Sleep(2 * watchAfter)
					_, _ = io.WriteString(c, next[split:])
				}()
				if one, two := c.echo(), c.echo(); one.Target != "/" || two.Target != "/next" {
					t.Errorf("understood %v and %v", one, two)
				}
			})
		}
	}
}

// A deadline that a handler sets while its client is watched ends the request,
// as it does with net/http alone.
func TestReadDeadlineDuringTheWatch(t *testing.T) {
	watched(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * watchAfter)
		start := time.Now()
		_ = http.NewResponseController(w).SetReadDeadline(start.Add(time.Second))
		<-r.Context().Done()
		if took := time.Since(start); took != time.Second {
			t.Errorf("ended after %s", took)
		}
		panic(http.ErrAbortHandler)
	}, func(_ *testing.T, connect func() *client) {
		c := connect()
		c.send(get + "\r\n")
		_, _ = io.ReadAll(c) // until the server has done with it
	})
}

// A connection that is taken over is nobody else's, whatever was under way.
func TestHijackDuringTheWatch(t *testing.T) {
	for _, after := range []time.Duration{0, watchAfter / 2, 2 * watchAfter} {
		for _, early := range []bool{false, true} {
			watched(t, func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(after)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				time.Sleep(5 * watchAfter)
				b := make([]byte, 4)
				_, err = io.ReadFull(conn, b)
				_, _ = fmt.Fprintf(conn, "%s %v", b, err)
			}, func(t *testing.T, connect func() *client) {
				c := connect()
				c.send(get + "\r\n")
				if !early {
					time.Sleep(4 * watchAfter)
				}
				go func() { _, _ = io.WriteString(c, "abcd") }()
				if got, err := io.ReadAll(c); string(got) != "abcd <nil>" {
					t.Errorf("hijacked after %s, sent early %v: %q, %v", after, early, got, err)
				}
			})
		}
	}
}

// Its client is no longer the server's to watch.
func TestHijackEndsTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, near := net.Pipe()
		l, err := NewListener(nil, testConfig)
		if err != nil {
			t.Fatal(err)
		}
		c := l.conn(near, time.Now())
		ctx := ConnContext(context.Background(), c)
		_, _ = c.Read(make([]byte, 1))
		time.Sleep(2 * watchAfter)
		ConnState(c, http.StateHijacked)
		far.Close()
		c.look() // by a timer that came too late
		time.Sleep(2 * watchAfter)
		synctest.Wait()
		if err := ctx.Err(); err != nil {
			t.Error(err)
		}
	})
}

// lookouts counts the goroutines that wait for a client to go away.
func lookouts() int {
	b := make([]byte, 1<<20)
	return strings.Count(string(b[:runtime.Stack(b, true)]), "(*Conn).look(")
}

// Nothing is left of the watches of a connection that was in use, and only slow
// requests ever had one that costs something.
func TestWatchesLeaveNothing(t *testing.T) {
	var h recorder
	most := 0
	watched(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(2 * watchAfter)
			most = lookouts()
		}
		h.ServeHTTP(w, r)
	}, func(t *testing.T, connect func() *client) {
		c := connect()
		for range 10_000 {
			c.send(get + "\r\n")
			c.echo()
		}
		time.Sleep(2 * watchAfter)
		if n := lookouts(); n != 0 {
			t.Errorf("%d are left of fast requests", n)
		}
		c.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
		c.echo()
		time.Sleep(2 * watchAfter)
		synctest.Wait()
		if n := lookouts(); most != 1 || n != 0 {
			t.Errorf("%d during a slow request, %d after it", most, n)
		}
	})
}

// A watch of a slow request is over with it, and the connection goes on.
func TestSlowRequestsFollowEachOther(t *testing.T) {
	var h recorder
	watched(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(3 * watchAfter)
		if err := r.Context().Err(); err != nil {
			t.Errorf("the context ended: %v", err)
		}
		h.ServeHTTP(w, r)
	}, func(t *testing.T, connect func() *client) {
		c := connect()
		for range 100 {
			c.send(get + "\r\n")
			c.echo()
			time.Sleep(3 * watchAfter)
		}
	})
}

// Whoever closes a connection under a request does not wait for its client, and
// ends the request.
func TestCloseDuringTheWatch(t *testing.T) {
	for _, after := range []time.Duration{watchAfter / 2, 2 * watchAfter} {
		for _, abandoned := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				far, near := net.Pipe()
				defer far.Close()
				l, err := NewListener(nil, testConfig)
				if err != nil {
					t.Fatal(err)
				}
				c := l.conn(near, time.Now())
				ctx := ConnContext(context.Background(), c)
				if n, err := c.Read(make([]byte, 1)); n != 0 || err != nil {
					t.Fatal(n, err)
				}
				time.Sleep(after)
				c.abandoned.Store(abandoned)
				start := time.Now()
				c.Close()
				if took := time.Since(start); took > 0 && !abandoned || took > lingerTime {
					t.Errorf("closing took %s", took)
				}
				time.Sleep(watchAfter)
				synctest.Wait()
				if !abandoned && ctx.Err() == nil {
					t.Errorf("closed after %s: the context has not ended", after)
				}
			})
		}
	}
}
