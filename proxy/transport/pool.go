package transport

import (
	"slices"
	"time"
)

// take returns a connection that is kept open, the one used last first, and nil
// when there is none.
func (t *Transport) take(host string) *conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.idle[host]
	if len(kept) == 0 {
		return nil
	}
	c := kept[len(kept)-1]
	kept[len(kept)-1] = nil
	t.idle[host] = kept[:len(kept)-1]
	return c
}

// put keeps a connection for later requests, if there is room.
func (t *Transport) put(c *conn) {
	c.idleSince, c.kept = time.Now(), true
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.idle[c.host]
	if len(kept) >= t.cfg.MaxIdlePerHost {
		c.abort()
		return
	}
	t.idle[c.host] = append(kept, c)
	if t.sweep == nil {
		t.sweep = time.AfterFunc(t.cfg.IdleTimeout, func() { t.closeIdleSince(time.Now().Add(-t.cfg.IdleTimeout)) })
	}
}

// closeIdleSince closes what was put back before that time, or everything if
// it is zero, and sees to it that what is left is looked at again.
func (t *Transport) closeIdleSince(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var oldest time.Time
	for host, kept := range t.idle {
		old := len(kept)
		if !before.IsZero() {
			// They are in the order in which they were put back.
			old = 0
			for old < len(kept) && !kept[old].idleSince.After(before) {
				old++
			}
		}
		for _, c := range kept[:old] {
			c.abort()
		}
		kept = slices.Delete(kept, 0, old)
		if len(kept) == 0 {
			delete(t.idle, host)
			continue
		}
		t.idle[host] = kept
		if since := kept[0].idleSince; oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
	}
	switch {
	case t.sweep == nil:
	case oldest.IsZero():
		t.sweep.Stop()
		t.sweep = nil
	default:
		t.sweep.Reset(time.Until(oldest.Add(t.cfg.IdleTimeout)))
	}
}
