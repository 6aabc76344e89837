package revocation

import (
	"bytes"
	"context"
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
		"somebody does":               {func(s *modelSource) { s.vouched[0] = [2]int{1, 100} }, true},
		"one who has read less":       {func(s *modelSource) { s.vouched[0] = [2]int{1, 99} }, false},
		"for what was lost since":     {func(s *modelSource) { s.vouched[0] = [2]int{2, 100} }, false},
		"all that was there has gone": {func(*modelSource) { time.Sleep(time.Hour) }, true},
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
			before := m.sieve.Load().filter.Load()
			source.change(func() { source.life, source.writes = 1, nil })
			time.Sleep(time.Minute)
			synctest.Wait()
			old := entry("0")
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
