package wire

import (
	"sync"
	"time"
)

// watchAfter is how long a handler may take until somebody looks whether its
// client is still there. Most are done by then, for which a read that begins
// with each request and is called off again would be a high price.
const watchAfter = 10 * time.Millisecond

// watch notices that the client leaves while a handler runs. The zero value is
// one that is over.
type watch struct {
	mu    sync.Mutex
	timer *time.Timer   // nil: there was no watch yet
	due   bool          // the timer is set
	over  chan struct{} // closed when the look under way is over; nil: there is none
}

// beginWatch has the connection looked at when some time has passed.
func (c *Conn) beginWatch() {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = true
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, c.look)
		return
	}
	w.timer.Reset(watchAfter)
}

// endWatch returns when nobody looks at the connection any more.
func (c *Conn) endWatch() {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.due {
		w.due = false
		w.timer.Stop()
	}
	if w.over != nil {
		c.interrupt()
		<-w.over
		c.resume()
		w.over = nil
	}
}

// look waits until something comes. That is kept back, so that a request that
// comes early is judged when it is asked for and not before. A timer that was
// stopped too late may make it look before its time, which does no harm.
func (c *Conn) look() {
	w := &c.watch
	w.mu.Lock()
	if !w.due {
		w.mu.Unlock()
		return
	}
	over := make(chan struct{})
	w.due, w.over = false, over
	w.mu.Unlock()
	defer close(over)
	var b [1]byte
	n, err := c.timed.Read(b[:])
	c.in.keep(b[:n])
	if err != nil && !c.interrupted() {
		c.gone()
	}
}
