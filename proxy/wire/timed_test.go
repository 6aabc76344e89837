package wire

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// told counts what a connection is told of deadlines.
type told struct {
	net.Conn
	reads, writes atomic.Int32
}

func (c *told) SetReadDeadline(t time.Time) error {
	c.reads.Add(1)
	return c.Conn.SetReadDeadline(t)
}

func (c *told) SetWriteDeadline(t time.Time) error {
	c.writes.Add(1)
	return c.Conn.SetWriteDeadline(t)
}

// A read or write ends at the deadline that was set last, whichever the
// connection was told of before, and whoever sets it.
func TestDeadlinesAreExact(t *testing.T) {
	at := func(d time.Duration) func(time.Time) time.Time {
		return func(now time.Time) time.Time { return now.Add(d) }
	}
	none := func(time.Time) time.Time { return time.Time{} }
	past := func(time.Time) time.Time { return time.Unix(1, 0) }
	for name, row := range map[string]struct {
		before, during func(now time.Time) time.Time // set before the wait, and one second after it began; nil: nothing is
		ends           time.Duration                 // counted from then; 0: never
	}{
		"none":                {none, nil, 0},
		"one":                 {at(7 * time.Second), nil, 7 * time.Second},
		"later than told":     {at(time.Hour), nil, time.Hour},
		"over":                {past, nil, -1},
		"put off":             {at(3 * time.Second), at(time.Hour), time.Hour + time.Second},
		"taken off":           {at(3 * time.Second), none, 0},
		"brought forward":     {at(time.Hour), at(time.Second), 2 * time.Second},
		"set while it waits":  {none, at(9 * time.Second), 10 * time.Second},
		"ended from outside":  {none, past, time.Second},
		"ended before its up": {at(time.Hour), past, time.Second},
	} {
		for _, write := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				far, near := net.Pipe()
				defer far.Close()
				c := &timed{Conn: near}
				set, use, answer := c.SetReadDeadline, c.Read, far.Write
				if write {
					set, use, answer = c.SetWriteDeadline, c.Write, far.Read
				}
				// It is told of a deadline, which is never met.
				_ = set(time.Now().Add(2 * time.Second))
				go answer([]byte{1})
				if n, err := use(make([]byte, 1)); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				start := time.Now()
				_ = set(row.before(start))
				if row.during != nil {
					time.AfterFunc(time.Second, func() { _ = set(row.during(time.Now())) })
				}
				if row.ends == 0 {
					time.AfterFunc(24*time.Hour, func() { _, _ = answer([]byte{1}) })
				}
				n, err := use(make([]byte, 1))
				took := time.Since(start)
				switch {
				case row.ends == 0 && (n != 1 || err != nil || took != 24*time.Hour),
					row.ends != 0 && (n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || took != max(row.ends, 0)):
					t.Errorf("%s, write %v: %d, %v after %s", name, write, n, err, took)
				}
			})
		}
	}
}

func TestSetDeadlineIsForBoth(t *testing.T) {
	far, near := net.Pipe()
	defer far.Close()
	c := &timed{Conn: near}
	_ = c.SetDeadline(time.Unix(1, 0))
	_, read := c.Read(make([]byte, 1))
	_, write := c.Write(make([]byte, 1))
	if !errors.Is(read, os.ErrDeadlineExceeded) || !errors.Is(write, os.ErrDeadlineExceeded) {
		t.Errorf("%v, %v", read, write)
	}
}

// What was written when a deadline of former times ends a write is not written
// again.
func TestWriteGoesOnWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, near := net.Pipe()
		c := &timed{Conn: near}
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		got := make(chan string)
		go func() {
			b := make([]byte, 4)
			_, _ = io.ReadFull(far, b)
			time.Sleep(time.Minute)
			rest, _ := io.ReadAll(far)
			got <- string(b) + string(rest)
		}()
		_, _ = c.Write([]byte("a"))
		_ = c.SetWriteDeadline(time.Time{})
		if n, err := c.Write([]byte("bcdefgh")); n != 7 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		near.Close()
		if all := <-got; all != "abcdefgh" {
			t.Errorf("%q arrived", all)
		}
	})
}

// over is a connection whose reads and writes end by a deadline, as TLS has it
// for all writes behind the first of them.
type over struct{ net.Conn }

func (over) Read(p []byte) (int, error)         { return 1, os.ErrDeadlineExceeded }
func (over) Write([]byte) (int, error)          { return 0, os.ErrDeadlineExceeded }
func (over) SetReadDeadline(t time.Time) error  { return nil }
func (over) SetWriteDeadline(t time.Time) error { return nil }

// With TLS a write is not tried again, and a read can end by a deadline although
// something came.
func TestDeadlinesWithTLS(t *testing.T) {
	count := &told{Conn: over{}}
	c := &timed{Conn: count, whole: true}
	_ = c.SetWriteDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(time.Hour))
	if n := count.writes.Load(); n != 1 {
		t.Errorf("told %d times, want at once and of what there is", n)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write that cannot go on: %v", err)
	}
	if n, err := c.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

// A connection in use costs no deadline, and when it is idle it ends in time.
func TestDeadlinesAreSeldomTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		l, err := NewListener(p, testConfig)
		if err != nil {
			t.Fatal(err)
		}
		var h recorder
		serveOn(t, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute))
			h.ServeHTTP(w, r)
		}))
		far, near := net.Pipe()
		count := &told{Conn: near}
		p.conns <- count
		c := newClient(t, far)
		far.SetDeadline(time.Time{})
		for range 1000 {
			c.send(get + "\r\n")
			c.echo()
			time.Sleep(time.Millisecond)
		}
		if r, w := count.reads.Load(), count.writes.Load(); r > 3 || w > 3 {
			t.Errorf("1,000 requests in a second: told %d times for reads, %d for writes", r, w)
		}
		time.Sleep(20 * time.Second) // by when all that it was told of is over
		c.send(get + "\r\n")
		c.echo()
		start := time.Now()
		c.wantClosed()
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("idle for %s, want the server's 30s", took)
		}

		far, near = net.Pipe()
		p.conns <- near
		c = newClient(t, far)
		far.SetDeadline(time.Time{})
		c.send(get + "\r\n")
		c.echo()
		start = time.Now()
		c.send("GET")
		if resp, _ := c.answer("GET"); resp.StatusCode != http.StatusRequestTimeout || time.Since(start) != testConfig.ReadHeaderTimeout {
			t.Errorf("a head that does not end: %s after %s", resp.Status, time.Since(start))
		}
	})
}
