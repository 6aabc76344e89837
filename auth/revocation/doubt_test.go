package revocation

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

// TestOutgrown: a filter to which much was added is made anew from what is not
// over, not before its time.
func TestOutgrown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &modelSource{vouched: map[int][2]int{}}
		m := NewMirror(MirrorConfig{MaxStaleness: time.Hour, MaxBytes: modelBytes})
		f, err := NewFeed(FeedConfig{Source: source, Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			source.writes = append(source.writes, entry(strconv.Itoa(i)))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = f.Run(ctx); close(done) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		first := m.sieve.Load().filter.Load()
		if first.base.Load() != 100 || first.entries() != 100 {
			t.Fatalf("%d entries of %d", first.base.Load(), first.entries())
		}
		source.change(func() {
			for i := range 25 {
				source.writes = append(source.writes, entry("more"+strconv.Itoa(i)))
			}
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if m.sieve.Load().filter.Load() != first {
			t.Error("it was made anew for a quarter more")
		}
		source.change(func() { source.writes = append(source.writes, entry("last")) })
		time.Sleep(time.Second)
		synctest.Wait()
		second := m.sieve.Load().filter.Load()
		if second == first || second.base.Load() != 126 || m.sieve.Load().fresh.Load() != nil {
			t.Fatal("it was not made anew for more")
		}
		source.change(func() {
			for i := range 100 {
				source.writes = append(source.writes, entry("again"+strconv.Itoa(i)))
			}
		})
		time.Sleep(rereadEvery - 2*time.Second)
		synctest.Wait()
		if m.sieve.Load().filter.Load() != second {
			t.Error("it was made anew before its time")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if m.sieve.Load().filter.Load() == second {
			t.Error("it was not made anew in time")
		}
		cancel()
		<-done
		if len(f.doubt.had) != 1 {
			t.Errorf("the source is asked about %q", f.doubt.had)
		}
	})
}

// TestR17Doubt: after a loss a filter goes on, until somebody who has everything
// vouches for the source or all of it is over; and the log says what to do.
func TestR17Doubt(t *testing.T) {
	for name, c := range map[string]struct {
		then func(*modelSource)
		ends bool
	}{
		"nobody vouches":              {func(*modelSource) {}, false},
		"somebody does":               {func(s *modelSource) { s.vouched[0] = [2]int{1, 101} }, true},
		"one who has read less":       {func(s *modelSource) { s.vouched[0] = [2]int{1, 100} }, false},
		"for what was lost since":     {func(s *modelSource) { s.vouched[0] = [2]int{2, 101} }, false},
		"most of it has gone":         {func(*modelSource) { time.Sleep(time.Hour) }, false},
		"all that was there has gone": {func(*modelSource) { time.Sleep(2 * time.Hour) }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			source := &modelSource{vouched: map[int][2]int{}}
			m, log := NewMirror(MirrorConfig{MaxStaleness: time.Hour, MaxBytes: modelBytes}), bytes.Buffer{}
			f, err := NewFeed(FeedConfig{Source: source, Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 100 {
				e := entry(strconv.Itoa(i))
				e.Until = time.Now().Add(time.Hour)
				source.writes = append(source.writes, e)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { _ = f.Run(ctx); close(done) }()
			time.Sleep(time.Minute)
			synctest.Wait()
			source.change(func() {
				e := entry("last")
				e.Until = time.Now().Add(90 * time.Minute)
				source.writes = append(source.writes, e)
			})
			time.Sleep(time.Minute)
			synctest.Wait()
			before := m.sieve.Load().filter.Load()
			source.change(func() { source.life, source.writes = 1, []auth.Revocation{entry("since then")} })
			time.Sleep(time.Minute)
			synctest.Wait()
			old := entry("last")
			denied := func() bool {
				c, _ := m.Confirm(t.Context(), old, 0, time.Now().Unix())
				return c != auth.NotCovered
			}
			if !denied() {
				t.Errorf("%s: let in after the loss", name)
			}
			source.change(func() { c.then(source) })
			time.Sleep(time.Minute)
			synctest.Wait()
			if ended := m.sieve.Load().filter.Load() != before; ended != c.ends || ended == f.doubt.open {
				t.Errorf("%s: the doubt has ended: %t", name, ended)
			}
			if !c.ends && !denied() {
				t.Errorf("%s: let in", name)
			}
			if n := strings.Count(log.String(), "run one without revocation.max_memory"); n != 1 {
				t.Errorf("%s: logged %d times:\n%s", name, n, &log)
			}
			cancel()
			<-done
		})
	}
}

// newDoubtful returns a feed that the test runs, its mirror, and their source.
func newDoubtful(t *testing.T, bytes, entries int) (*Feed, *Mirror, *modelSource) {
	t.Helper()
	source, m := &modelSource{vouched: map[int][2]int{}}, NewMirror(MirrorConfig{MaxStaleness: time.Hour, MaxBytes: bytes})
	f, err := NewFeed(FeedConfig{Source: source, Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		source.writes = append(source.writes, entry(strconv.Itoa(i)))
	}
	return f, m, source
}

// beats lets a feed follow for ten rounds, reading anew where it must.
func beats(t *testing.T, f *Feed) {
	t.Helper()
	for range 10 {
		if err := f.once(t.Context()); errors.Is(err, ErrGap) {
			f.position = ""
		}
		time.Sleep(modelPoll)
	}
}

// forgotten is how many of the first n entries are let in.
func forgotten(t *testing.T, m *Mirror, n int) (let int) {
	t.Helper()
	for i := range n {
		if c, _ := m.Confirm(t.Context(), entry(strconv.Itoa(i)), 0, time.Now().Unix()); c == auth.NotCovered {
			let++
		}
	}
	return let
}

// TestR17ReadBeforeRenewed: what was written back after the log was read last,
// and before the source was asked whether it is whole, is not in the new filter
// yet.
func TestR17ReadBeforeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m, source := newDoubtful(t, modelBytes, 100)
		beats(t, f)
		m.put(entry("mistaken"), time.Now(), false)
		if c, err := m.Confirm(t.Context(), entry("mistaken"), 0, time.Now().Unix()); c != auth.NotCovered {
			t.Errorf("before the loss: %d, %v", c, err)
		}
		old, all := m.sieve.Load().filter.Load(), source.writes
		m.sieve.Load().answers = newAnswers(0) // they are many more than it has room for
		source.life, source.writes = 1, nil
		beats(t, f)
		source.confirming = func() { source.writes, source.vouched[0] = all, [2]int{1, 100} }
		_ = f.once(t.Context())
		source.confirming = nil
		if n := forgotten(t, m, 100); n > 0 {
			t.Errorf("%d are let in", n)
		}
		beats(t, f)
		if n := forgotten(t, m, 100); n > 0 || m.sieve.Load().filter.Load() == old || f.doubt.open {
			t.Errorf("in the end %d are let in, or the doubt goes on", n)
		}
	})
}

// TestReadAnew: while a list that lost nothing is read anew, the source goes on
// being asked; one that did is not, until it is known to be whole.
func TestReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m, source := newDoubtful(t, modelBytes, 100)
		source.life = 1 // which nobody has been told of
		if _ = f.once(t.Context()); m.since.Load() != nil {
			t.Error("it is trusted while it settles")
		}
		beats(t, f)
		for lost := range 2 {
			source.life += lost
			source.writes = append(source.writes, entry("more"))
			if err := f.snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			if since := m.since.Load(); (since != nil) != (lost == 0) || since != nil && *since != f.position {
				t.Errorf("after %d losses it is asked since %v", lost, since)
			}
		}
	})
}

// TestR17VouchedWhenWritten: who has every entry vouches for the source when all
// of them are there again, and as often as it takes.
func TestR17VouchedWhenWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const entries = 10 * healBatch
		f, _, source := newDoubtful(t, 0, entries)
		beats(t, f)
		source.life, source.writes, f.position = 1, nil, ""
		for i := range 100 {
			source.down = nil
			if i >= 10 && i < 50 { // before it can be
				source.down = errors.New("down")
			}
			_ = f.once(t.Context())
			if len(source.vouched) > 0 && (len(source.writes) < entries || i < 50) {
				t.Fatalf("vouched with %d entries", len(source.writes))
			}
			if f.doubt.open != (len(source.vouched) == 0) {
				t.Fatalf("vouched for %v, in doubt %t", source.vouched, f.doubt.open)
			}
			time.Sleep(modelPoll)
		}
		if source.vouched[0] != [2]int{1, entries} {
			t.Errorf("%v", source.vouched)
		}
	})
}

// TestR17CannotBeAsked: a source that cannot be asked is not whole.
func TestR17CannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m, source := newDoubtful(t, modelBytes, 100)
		beats(t, f)
		source.life, source.vouched[0], source.down = 1, [2]int{1, 100}, errors.New("down")
		beats(t, f)
		if !f.doubt.open || forgotten(t, m, 100) > 0 {
			t.Error("the doubt has ended")
		}
		source.down = nil
		beats(t, f)
		if f.doubt.open {
			t.Error("the doubt goes on")
		}
	})
}

// TestR17LostTwice: who vouches for what was there before a first loss says
// nothing of what was written between it and a second.
func TestR17LostTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, m, source := newDoubtful(t, modelBytes, 100)
		beats(t, f)
		all, forget := source.writes, func() { m.sieve.Load().answers = newAnswers(0) }
		forget()
		source.life, source.writes = 1, []auth.Revocation{entry("between")}
		beats(t, f)
		forget()
		source.life, source.writes, source.vouched[0] = 2, all, [2]int{2, 100}
		between := func() auth.Coverage {
			c, _ := m.Confirm(t.Context(), entry("between"), 0, time.Now().Unix())
			return c
		}
		if c := between(); c != auth.Unsure {
			t.Errorf("before the loss is noticed: %d", c)
		}
		beats(t, f)
		if c := between(); c != auth.Unsure || !f.doubt.open {
			t.Errorf("after it: %d", c)
		}
		source.writes = append(source.writes, entry("more"))
		source.vouched[1] = [2]int{2, 1}
		beats(t, f)
		source.trimmed = len(source.writes)
		if f.doubt.open || forgotten(t, m, 100) > 0 {
			t.Error("the doubt goes on when both are vouched for")
		}
	})
}

// TestR17VouchedLate: the doubt ends also when the log that is followed meanwhile
// has been trimmed past where it was read.
func TestR17VouchedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, source := newDoubtful(t, modelBytes, 100)
		beats(t, f)
		all := source.writes
		source.life, source.writes = 1, nil
		beats(t, f)
		source.writes = append(source.writes, all...)
		beats(t, f)
		source.trimmed = len(source.writes)
		beats(t, f)
		if !f.doubt.open {
			t.Error("nobody has vouched")
		}
		source.vouched[0] = [2]int{1, 100}
		beats(t, f)
		if f.doubt.open {
			t.Error("the doubt goes on")
		}
	})
}

// TestR17NarrowedInDoubt: a mirror that goes over to a filter while it reads a
// source that lost its entries cannot write all of them back, and lets none in.
func TestR17NarrowedInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const entries = 1500
		f, m, source := newDoubtful(t, 300<<10, entries)
		beats(t, f)
		if m.sieve.Load() != nil {
			t.Fatal("they do not fit")
		}
		source.life, source.writes = 1, nil
		for i := range 3000 {
			source.writes = append(source.writes, entry("more"+strconv.Itoa(i)))
		}
		beats(t, f)
		if m.sieve.Load() == nil || len(source.writes) == 3000+entries {
			t.Fatal("they fit, or all of them were written back")
		}
		if n := forgotten(t, m, entries); n > 0 {
			t.Errorf("%d of %d are let in", n, entries)
		}
	})
}

// TestNarrowedIsWrittenBack: what leaves the tables is known exactly for a while,
// since the source may lack it.
func TestNarrowedIsWrittenBack(t *testing.T) {
	now, m := entry("").Until.Add(-time.Hour), NewMirror(MirrorConfig{MaxBytes: 1 << 20})
	for i := range 100 {
		m.Put(entry(strconv.Itoa(i)), now)
	}
	m.narrow(now)
	h := newHealing(m)
	if back := h.batch(m, now); len(back) != 100 {
		t.Errorf("%d are written back", len(back))
	}
}
