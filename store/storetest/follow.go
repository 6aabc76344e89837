package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
)

var errEnough = errors.New("enough")

// Position returns where to follow the first shard from.
func Position(t testing.TB, s *store.Store) revocation.Position {
	t.Helper()
	at, err := s.Sources()[0].Snapshot(t.Context(), func(revocation.Event) error { return nil })
	check(t, err)
	return at
}

// Collect follows the first shard until n events other than Current have come, or, for n = 0,
// until it hears how whole the list is.
func Collect(t testing.TB, s *store.Store, from revocation.Position, n int) []revocation.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var events []revocation.Event
	err := s.Sources()[0].Follow(ctx, from, func(e revocation.Event) error {
		if !beat(e) {
			events = append(events, e)
		}
		if e.Position == "" {
			return fmt.Errorf("without a position: %+v", e)
		}
		if beat(e) && len(events) >= n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("following ended with %d of %d events: %v", len(events), n, err)
	}
	return events
}

// beat reports whether an event tells how whole the list is, and nothing new.
func beat(e revocation.Event) bool { return e.Op == revocation.Current || e.Op == revocation.Settling }

func follow(t *testing.T, s *store.Store) {
	check(t, s.Revoke(t.Context(), near(s, "before")))
	from := Position(t, s)
	r, k := near(s, "after"), auth.APIKey{ID: "app", SHA256: [32]byte{1, 2, 3}, Routes: []string{"orders"}}
	began := time.Now()
	check(t, s.Revoke(t.Context(), r))
	check(t, s.PutAPIKey(t.Context(), k))
	check(t, s.DeleteAPIKey(t.Context(), k.SHA256))
	events := Collect(t, s, from, 3)
	equal(t, len(events), 3)
	for i, op := range []revocation.Op{revocation.Revoked, revocation.KeyPut, revocation.KeyDeleted} {
		equal(t, events[i].Op, op)
		if d := events[i].Time.Sub(began).Abs(); d > patience {
			t.Errorf("event %d is off by %s", i, d)
		}
	}
	equal(t, events[0].Revocation, r)
	equal(t, events[1].Key.ID, k.ID)
	equal(t, events[1].Key.SHA256, k.SHA256)
	equal(t, events[1].Key.Routes, k.Routes)
	equal(t, events[2].Key.SHA256, k.SHA256)

	// A repeated entry is told as what holds now.
	shorter := r
	shorter.Until = r.Until.Add(-time.Minute)
	from = events[2].Position
	check(t, s.Revoke(t.Context(), shorter))
	equal(t, Collect(t, s, from, 1)[0].Revocation, r)
}

// followFrom resumes at each position in turn: nothing is lost and nothing
// comes twice.
func followFrom(t *testing.T, s *store.Store) {
	from := Position(t, s)
	var wrote []auth.Revocation
	for i := range 5 {
		r := near(s, fmt.Sprint(i))
		check(t, s.Revoke(t.Context(), r))
		wrote = append(wrote, r)
	}
	for i, r := range wrote {
		e := Collect(t, s, from, 5-i)
		equal(t, len(e), 5-i)
		equal(t, e[0].Revocation, r)
		from = e[0].Position
	}
	equal(t, len(Collect(t, s, from, 0)), 0)

	from = Position(t, s)
	check(t, s.Revoke(t.Context(), near(s, "once")))
	told, rounds := 0, 0
	err := s.Sources()[0].Follow(t.Context(), from, func(e revocation.Event) error {
		if !beat(e) {
			told++
		} else if rounds++; rounds == 3 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || told != 1 {
		t.Errorf("told %d times: %v", told, err)
	}
}

// followConcurrent writes from several sides while two read a snapshot and
// follow it: both have everything.
func followConcurrent(t *testing.T, s *store.Store) {
	const writers, each = 4, 25
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range each {
				if err := s.Revoke(t.Context(), near(s, fmt.Sprintf("%d/%d", w, i))); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		seen := map[string]bool{}
		at, err := s.Sources()[0].Snapshot(t.Context(), func(e revocation.Event) error { seen[e.Revocation.ID] = true; return nil })
		check(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err = s.Sources()[0].Follow(ctx, at, func(e revocation.Event) error {
			if e.Op == revocation.Revoked {
				seen[e.Revocation.ID] = true
			}
			if len(seen) == writers*each {
				return errEnough
			}
			return nil
		})
		cancel()
		if !errors.Is(err, errEnough) {
			t.Fatalf("saw %d of %d: %v", len(seen), writers*each, err)
		}
	}
	for range writers {
		check(t, <-done)
	}
}

func gap(t *testing.T, s *store.Store) {
	for _, from := range []revocation.Position{"", "x", "another 1", "another run 1-1", Position(t, s) + "9"} {
		err := s.Sources()[0].Follow(t.Context(), from, func(revocation.Event) error { return nil })
		if !errors.Is(err, revocation.ErrGap) {
			t.Errorf("from %q: got %v, want ErrGap", from, err)
		}
	}
}

func yieldError(t *testing.T, s *store.Store) {
	check(t, s.PutAPIKey(t.Context(), auth.APIKey{ID: "app"}))
	check(t, s.Revoke(t.Context(), near(s, "s")))
	stop := func(revocation.Event) error { return errEnough }
	_, err := s.Sources()[0].Snapshot(t.Context(), stop)
	if !errors.Is(err, errEnough) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("snapshot: %v", err)
	}
	if err := s.Revocations(t.Context(), func(auth.Revocation) error { return errEnough }); !errors.Is(err, errEnough) {
		t.Errorf("revocations: %v", err)
	}
	from := Position(t, s)
	if err := s.Sources()[0].Follow(t.Context(), from, stop); !errors.Is(err, errEnough) {
		t.Errorf("follow: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = s.Sources()[0].Follow(ctx, from, func(revocation.Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("follow until cancelled: %v", err)
	}
	if _, err := s.Sources()[0].Snapshot(ctx, func(revocation.Event) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("snapshot when cancelled: %v", err)
	}
}

// feed has a list follow the store, whatever number of shards that has.
func feed(t *testing.T, s *store.Store) {
	const n = 40
	check(t, s.PutAPIKey(t.Context(), auth.APIKey{ID: "app", SHA256: [32]byte{1}}))
	names := func(which string) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprint(which, i))
		}
		return all
	}
	for _, id := range names("early") {
		check(t, s.Revoke(t.Context(), Session(id)))
	}
	keys := &auth.StoredAPIKeys{}
	m, stop := feedAll(t, s, keys, slog.New(slog.DiscardHandler))
	defer stop()
	has := func(ids []string) bool {
		return !slices.ContainsFunc(ids, func(id string) bool {
			return m.Covers(auth.KindSession, Session(id).Key(), 0, time.Now().Unix()) != auth.Covered
		})
	}
	Until(t, "the list is whole", m.Complete)
	equal(t, has(names("early")), true)
	equal(t, len(keys.All()), 1)
	for _, id := range names("late") {
		check(t, s.Revoke(t.Context(), Session(id)))
	}
	Until(t, "revocations come", func() bool { return has(names("late")) })
	equal(t, m.Len()[auth.KindSession], 2*n)
	equal(t, len(Revocations(t, s)), 2*n)
	check(t, s.DeleteAPIKey(t.Context(), [32]byte{1}))
	Until(t, "a key goes", func() bool { return len(keys.All()) == 0 })
	equal(t, m.Stale(time.Now()), false)
}

// Until waits for something to become true that nothing announces.
func Until(t testing.TB, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
