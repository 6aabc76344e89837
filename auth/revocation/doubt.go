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
	until  uint32    // when all is over that the mirror's filter stands for, Unix seconds; 0: there was none yet
	heard  bool      // the source was whole at the last beat
	// had are the places at which the mirror had all of the source: the last before
	// the doubt, and where it has read since, from what may be lost again. None:
	// there was nothing before.
	had []Position
}

// begin is called before the source is read.
func (d *doubt) begin(m *Mirror) {
	if !d.open {
		d.had = nil
		if since := m.since.Load(); since != nil {
			d.had = append(d.had, *since)
		}
	}
	if s := m.sieve.Load(); s != nil {
		d.until = s.filter.Load().until.Load()
		s.begin()
	}
	d.open, d.heard, d.since = true, false, time.Now()
}

// read is called when the source has been read, at a place. What the mirror has
// from there, nobody vouches for who vouches for what was before: unless the
// source is known to be whole, requests are not answered by what it lacks.
func (f *Feed) read(ctx context.Context, at Position) {
	m, d := f.cfg.Mirror, &f.doubt
	if len(d.had) == 0 || d.had[len(d.had)-1] == at {
		return
	}
	var since *Position
	if f.whole(ctx) {
		since = &at
	}
	m.since.Store(since)
	d.had = append(d.had, at)
}

// whole reports whether the source is known to have all that it had at each of
// these places.
func (f *Feed) whole(ctx context.Context) bool {
	for _, at := range f.doubt.had {
		if _, whole, err := f.cfg.Source.Confirm(ctx, at); err != nil || !whole {
			return false
		}
	}
	return true
}

// trust is called whenever the source has settled, and notes whether it has all
// that the mirror stands for. It returns errOutgrown when the filter should be
// made anew.
func (f *Feed) trust(ctx context.Context, at Position, now time.Time) error {
	m, d := f.cfg.Mirror, &f.doubt
	if d.open {
		if n := len(d.had); n > 0 {
			d.had[n-1] = at // of the same log, whose older lines go
		}
		if f.healing != nil || !f.dispelled(ctx, at, now) {
			return nil
		}
		s := m.sieve.Load()
		if s != nil && len(d.had) > 0 && !d.heard {
			d.heard = true // what was written back since this beat was read comes before the next
			return nil
		}
		d.open, d.logged = false, false
		if s != nil {
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
	d := &f.doubt
	s := f.cfg.Mirror.sieve.Load()
	if s == nil {
		for _, had := range d.had {
			if f.cfg.Source.Vouch(ctx, had, at) != nil {
				return false
			}
		}
		return true
	}
	if d.until == 0 { // it was made since, of all that was here
		d.until = s.filter.Load().until.Load()
	}
	if f.whole(ctx) || seconds(now) > d.until {
		return true
	}
	if !d.logged {
		d.logged = true
		f.cfg.Log.Error("revocation list: what only the store can tell is denied, 503", "error", errDoubt)
	}
	return false
}
