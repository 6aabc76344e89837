package proxy

import (
	"context"
	"sync/atomic"
	"time"
)

// headerWait bounds the wait for an upstream's final response header while it is
// sent a body. The time during which we wait for the client's body does not
// count, or a slow client would be the upstream's fault; an upstream that takes
// no more of the body does.
type headerWait struct {
	limit time.Duration
	timer *time.Timer
	state atomic.Uint32
}

const (
	waiting uint32 = iota
	waitOver
	waitExpired
)

// begin starts the wait; cancel is called when it is in vain.
func (w *headerWait) begin(limit time.Duration, cancel context.CancelFunc) {
	w.limit = limit
	w.timer = time.AfterFunc(limit, func() {
		if w.state.CompareAndSwap(waiting, waitExpired) {
			cancel()
		}
	})
}

// over ends the wait, and reports whether it had not expired.
func (w *headerWait) over() bool {
	if w.timer != nil {
		w.timer.Stop()
	}
	return w.state.CompareAndSwap(waiting, waitOver) || w.state.Load() == waitOver
}

func (w *headerWait) pause() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

// resume starts the wait anew. A timer that is set after the wait is over
// fires without effect.
func (w *headerWait) resume() {
	if w.timer != nil && w.state.Load() == waiting {
		w.timer.Reset(w.limit)
	}
}

func (w *headerWait) expired() bool { return w.state.Load() == waitExpired }
