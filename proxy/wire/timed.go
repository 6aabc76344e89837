package wire

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// timed is a connection that is told of a deadline only where something waits
// for it. Up to ten are set for each request, most of which the next one
// replaces before anything has waited, and each moves one of the runtime's
// timers.
type timed struct {
	net.Conn
	whole bool // TLS, on which a write that a deadline has ended cannot go on: it is told at once

	mu    sync.Mutex
	read  direction
	write direction
	cut   bool // reads end at once, whatever is wanted
}

// direction is what a timed connection knows of its deadlines for reads, or for
// writes. What the connection was told is never later than what is wanted, or
// else something would end late. It may be earlier: such an end is not passed on.
type direction struct {
	want time.Time // zero: none
	told time.Time
	busy int // reads or writes under way
}

// SetDeadline sets both. Like those of a net.Conn, deadlines count for what is
// under way, too.
func (t *timed) SetDeadline(want time.Time) error {
	return errors.Join(t.SetReadDeadline(want), t.SetWriteDeadline(want))
}

func (t *timed) SetReadDeadline(want time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read.want = want
	if t.read.busy > 0 {
		return t.read.tell(want, t.Conn.SetReadDeadline)
	}
	return nil
}

func (t *timed) SetWriteDeadline(want time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.write
	d.want = want
	switch {
	case t.whole && want != d.told:
		d.told = want
		return t.Conn.SetWriteDeadline(want)
	case d.busy > 0:
		return d.tell(want, t.Conn.SetWriteDeadline)
	}
	return nil
}

// tell tells the connection of a deadline if it knows of none so early.
func (d *direction) tell(by time.Time, set func(time.Time) error) error {
	if by.IsZero() || !d.told.IsZero() && !by.Before(d.told) {
		return nil
	}
	d.told = by
	return set(by)
}

func (t *timed) Read(p []byte) (int, error) {
	t.begin(&t.read, t.Conn.SetReadDeadline)
	for {
		n, err := t.Conn.Read(p)
		if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // the next read meets it again, if it still counts
		}
		if t.done(&t.read, err, t.Conn.SetReadDeadline) {
			return n, err
		}
	}
}

func (t *timed) Write(p []byte) (int, error) {
	t.begin(&t.write, t.Conn.SetWriteDeadline)
	for sent := 0; ; {
		n, err := t.Conn.Write(p[sent:])
		sent += n
		if t.done(&t.write, err, t.Conn.SetWriteDeadline) {
			return sent, err
		}
	}
}

func (t *timed) begin(d *direction, set func(time.Time) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d.busy++
	_ = d.tell(d.want, set)
}

// done reports whether a read or write is over. It is not when it was ended by a
// deadline that nobody wants any more.
func (t *timed) done(d *direction, err error, set func(time.Time) error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	final := d == &t.read && t.cut || d == &t.write && t.whole
	if err != nil && !final && errors.Is(err, os.ErrDeadlineExceeded) && (d.want.IsZero() || time.Until(d.want) > 0) {
		if d.told = d.want; set(d.want) == nil {
			return false
		}
	}
	d.busy--
	return true
}

// interrupt ends a read under way, or else the next one, until resume is called.
func (t *timed) interrupt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = true
	_ = t.read.tell(time.Unix(1, 0), t.Conn.SetReadDeadline)
}

func (t *timed) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = false
}

func (t *timed) interrupted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cut
}
