package transport

import (
	"context"
	"sync"
	"time"
)

// leashAfter is how long an exchange takes before it is bound to the context of
// its request. Most are over by then, and binding takes five allocations.
const leashAfter = 10 * time.Millisecond

// leash ends an exchange when the context of its request ends.
type leash struct {
	pull func() // ends it

	mu    sync.Mutex
	timer *time.Timer     // nil: there was no exchange yet
	ctx   context.Context // of the exchange under way, nil: there is none
	free  func() bool     // from the context; nil: it is not bound to it
}

// attach begins an exchange.
func (l *leash) attach(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ctx = ctx
	if l.timer == nil {
		l.timer = time.AfterFunc(leashAfter, l.bind)
		return
	}
	l.timer.Reset(leashAfter)
}

// bind may be called early, by a timer that was stopped too late.
func (l *leash) bind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx != nil && l.free == nil {
		l.free = context.AfterFunc(l.ctx, l.pull)
	}
}

// detach ends the exchange, and reports whether its context has not. What it
// does after that is no concern of the connection's any more.
func (l *leash) detach() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	free := l.free == nil || l.free()
	l.ctx, l.free = nil, nil
	return free
}
