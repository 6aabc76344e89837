package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gatehouse/auth/token"
	"gatehouse/store"
)

func limits(t *testing.T, s *store.Store) {
	take := func(wantWait bool, limits ...token.Limit) time.Duration {
		t.Helper()
		wait, err := s.Take(t.Context(), limits)
		check(t, err)
		if wait < 0 || (wait > 0) != wantWait {
			t.Fatalf("wait %s, want one: %v", wait, wantWait)
		}
		return wait
	}
	limit := func(key string, n int) token.Limit { return token.Limit{Key: key, Max: n, Window: time.Minute} }
	take(false)
	check(t, s.Return(t.Context(), nil))

	// All or none.
	a, b := limit("a", 2), limit("b", 1)
	take(false, a, b)
	for range 3 {
		take(true, a, b)
		take(true, b, a)
	}
	take(false, a)
	take(true, a)

	// The wait is that for the last of those that are used up.
	slow, fast := token.Limit{Key: "slow", Max: 1, Window: time.Hour}, limit("fast", 1)
	take(false, slow, fast)
	for _, wait := range []time.Duration{take(true, slow, fast), take(true, fast, slow), take(true, a, slow)} {
		if wait > time.Hour || wait < time.Hour-patience {
			t.Errorf("wait %s, want an hour", wait)
		}
	}
	if wait := take(true, fast); wait > time.Minute || wait < time.Minute-patience {
		t.Errorf("wait %s, want a minute", wait)
	}

	// What is taken back can be taken again, and never more than there was.
	check(t, s.Return(t.Context(), []token.Limit{a, b}))
	take(false, a, b)
	take(true, a, b)
	for range 5 {
		check(t, s.Return(t.Context(), []token.Limit{a, b, limit("c", 1)}))
	}
	take(false, a, b, limit("c", 1))
	take(true, limit("c", 1))
	take(false, a)
	take(true, a)
}

// limitsShorter: a window ends, and one that was longer once goes on no longer
// than a new one would.
func limitsShorter(t *testing.T, s *store.Store) {
	l := token.Limit{Key: "a", Max: 1, Window: time.Hour}
	take := func() time.Duration {
		t.Helper()
		wait, err := s.Take(t.Context(), []token.Limit{l})
		check(t, err)
		return wait
	}
	equal(t, take(), time.Duration(0))
	l.Window = 300 * time.Millisecond
	if wait := take(); wait <= 0 || wait > l.Window {
		t.Errorf("in a window that was longer once: wait %s", wait)
	}
	Until(t, "the window is over", func() bool { return take() == 0 })
}

func limitsInvalid(t *testing.T, s *store.Store) {
	a := token.Limit{Key: "a", Max: 2, Window: time.Minute}
	for name, l := range map[string]token.Limit{
		"no key": {Max: 1, Window: 1e9}, "no max": {Key: "x", Window: 1e9}, "negative max": {Key: "x", Max: -1, Window: 1e9},
		"R10 no window": {Key: "x", Max: 1}, "R10 negative window": {Key: "x", Max: 1, Window: -1},
		"R10 nearly no window": {Key: "x", Max: 1, Window: 1}, "twice": a,
		"key too long": {Key: fmt.Sprintf("%2000d", 1), Max: 1, Window: 1e9},
	} {
		_, err := s.Take(t.Context(), []token.Limit{a, l})
		if !errors.Is(err, store.ErrInvalid) || !errors.Is(s.Return(t.Context(), []token.Limit{a, l}), store.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func limitsParallel(t *testing.T, s *store.Store) {
	const most = 10
	both := []token.Limit{{Key: "account", Max: most, Window: time.Minute}, {Key: "address", Max: parallel, Window: time.Minute}}
	var waits [parallel]time.Duration
	atOnce(t, func(i int) (err error) { waits[i], err = s.Take(t.Context(), both); return err })
	allowed := 0
	for _, wait := range waits {
		if wait == 0 {
			allowed++
		}
	}
	equal(t, allowed, most)
	// The others counted against nothing.
	atOnce(t, func(i int) (err error) { waits[i], err = s.Take(t.Context(), both[1:]); return err })
	allowed = 0
	for _, wait := range waits {
		if wait == 0 {
			allowed++
		}
	}
	equal(t, allowed, parallel-most)
}
