package revocation

import (
	"context"
	"errors"
	"time"
)

// rereadEvery is how long a filter that is outgrown is put up with at least. Each
// time all of the list is read.
const rereadEvery = 10 * time.Minute

// errOutgrown ends following so that the filter is made anew.
var errOutgrown = errors.New("the filter has grown old")

// doubt is the state of a feed that has read its source again: what it had may
// have been lost in between. A mirror that holds all entries writes them back and
// then says so to all others; one with a sieve cannot, and does not believe what
// the source does not have until another one has said so.
type doubt struct {
	open   bool
	logged bool
	since  time.Time // of the last reading
	until  uint32    // when all is over that the mirror's filter stands for, Unix seconds
}

// begin is called before the source is read.
func (d *doubt) begin(m *Mirror) {
	if s := m.sieve.Load(); s != nil {
		if !d.open {
			d.until = s.filter.Load().until.Load()
		}
		s.begin()
	}
	d.open, d.since = true, time.Now()
}

// trust is called whenever the source has settled, and notes whether it has all
// that the mirror stands for. It returns errOutgrown when the filter should be
// made anew.
func (f *Feed) trust(ctx context.Context, at Position, now time.Time) error {
	m, d := f.cfg.Mirror, &f.doubt
	if d.open {
		if f.healing != nil || !f.dispelled(ctx, at, now) {
			return nil
		}
		d.open, d.logged = false, false
		if s := m.sieve.Load(); s != nil {
			s.renew()
		}
	}
	m.since.Store(&at)
	if s := m.sieve.Load(); s != nil && now.Sub(d.since) > rereadEvery && s.filter.Load().outgrown() {
		return errOutgrown
	}
	return nil
}

// dispelled reports whether the source has all that it had. A failure to ask, or
// to note it, leaves that open until the next beat.
func (f *Feed) dispelled(ctx context.Context, at Position, now time.Time) bool {
	m := f.cfg.Mirror
	since := m.since.Load()
	if since == nil {
		return true // there was nothing before
	}
	if m.sieve.Load() == nil {
		return f.cfg.Source.Vouch(ctx, *since, at) == nil
	}
	_, whole, err := f.cfg.Source.Confirm(ctx, *since)
	if err != nil || whole || seconds(now) > f.doubt.until {
		return err == nil
	}
	if !f.doubt.logged {
		f.doubt.logged = true
		f.cfg.Log.Error("revocation list: what only the store can tell is denied, 503", "error", errDoubt)
	}
	return false
}
