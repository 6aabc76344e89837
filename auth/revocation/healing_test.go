package revocation

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

// TestByKey: an entry that is known by its key is the same as the one with the
// name.
func TestByKey(t *testing.T) {
	for _, r := range []auth.Revocation{
		session("s", time.Hour),
		{Kind: auth.KindSubject, Issuer: "main", ID: "alice", Before: t0.UTC(), Until: t0.Add(time.Hour)},
		{Kind: auth.KindAPIKey, ID: "web-app", Until: t0.Add(time.Hour)},
	} {
		m := NewMirror(MirrorConfig{})
		m.Put(r, t0)
		var missing []auth.Revocation
		for i := range shardCount {
			missing = m.missing(NewMirror(MirrorConfig{}), i, missing, t0)
		}
		if len(missing) != 1 {
			t.Fatalf("%s: %d entries", r.Kind, len(missing))
		}
		e := missing[0]
		if e.Key() != r.Key() || e.Kind != r.Kind || e.ID != "" || e.Issuer != "" || !e.ByKey.Valid() ||
			!e.Before.Equal(r.Before) || !e.Until.Equal(r.Until) {
			t.Errorf("%+v became %+v", r, e)
		}
		m.Put(e, t0)
		if n := m.Len()[r.Kind]; n != 1 {
			t.Errorf("%s: with its name and by its key it counts %d times", r.Kind, n)
		}
	}
}

// TestMissing: what is over, and what the other covers, is not missing.
func TestMissing(t *testing.T) {
	m, other := NewMirror(MirrorConfig{}), NewMirror(MirrorConfig{})
	for id, c := range map[string]struct {
		here, there time.Duration // until; 0: no entry
		missing     bool
	}{
		"there":        {time.Hour, time.Hour, false},
		"there longer": {time.Hour, 2 * time.Hour, false},
		"there less":   {time.Hour, time.Minute, true},
		"not there":    {time.Hour, 0, true},
		"over":         {time.Second, 0, false},
		"only there":   {0, time.Hour, false},
	} {
		r := session(id, c.here)
		m.Put(r, t0)
		other.Put(session(id, c.there), t0)
		var missing []auth.Revocation
		missing = m.missing(other, int(r.Key()[0]), missing, t0.Add(2*time.Second))
		found := false
		for _, e := range missing {
			found = found || e.Key() == r.Key()
		}
		if found != c.missing {
			t.Errorf("%s: missing %v", id, found)
		}
	}
}

// TestHealingInBatches: a long list goes back in parts, each entry once, and
// what others wrote back meanwhile not at all.
func TestHealingInBatches(t *testing.T) {
	m, got := NewMirror(MirrorConfig{}), map[auth.RevocationKey]int{}
	for i := range 5*healBatch + 7 {
		m.Put(session(i, time.Hour), t0)
	}
	h := newHealing(m)
	for i := range healBatch {
		h.stored.Put(session(i, time.Hour), t0)
	}
	for rounds := 0; ; rounds++ {
		entries := h.batch(m, t0)
		if len(entries) == 0 {
			if rounds > 6 {
				t.Errorf("%d batches", rounds)
			}
			break
		}
		if len(entries) > healBatch {
			t.Fatalf("%d entries at once", len(entries))
		}
		for _, e := range entries {
			got[e.Key()]++
			h.stored.Put(e, t0)
		}
	}
	for i := range 5*healBatch + 7 {
		want := 1
		if i < healBatch {
			want = 0
		}
		if n := got[session(i, 0).Key()]; n != want {
			t.Fatalf("entry %d was written %d times", i, n)
		}
	}
}

// TestHealingGoesOn: a batch that fails is tried again with the next beat, is
// logged once, and does not stop the following.
func TestHealingGoesOn(t *testing.T) {
	beat := Event{Op: Current, Position: "1"}
	run(t, []step{
		{events: []Event{revoked("a")}, at: "0"},
		{events: []Event{beat}, err: ErrGap},
		{at: "0"},
		{err: errDown}, // announced
		{events: []Event{beat, beat, beat, beat}},
		{err: errDown},
		{err: errDown},
		{},
	}, func(s *script, cfg FeedConfig, log string) {
		wantCalls(t, s, "snapshot", "follow 0", "snapshot", "restore", "follow 0",
			"restore key sid", "restore key sid", "restore key sid")
		if cfg.Mirror.Stale(time.Now().Add(-time.Minute)) {
			t.Error("a replica that cannot write back is stale")
		}
		if n := strings.Count(log, "cannot be written back"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log)
		}
		if !strings.Contains(log, "written=1") {
			t.Errorf("the end is not logged:\n%s", log)
		}
	})
}

// TestNothingToWriteBack: a gap in which nothing was lost.
func TestNothingToWriteBack(t *testing.T) {
	run(t, []step{
		{events: []Event{revoked("a")}, at: "0"},
		{events: []Event{{Op: Current, Position: "1"}}, err: ErrGap},
		{events: []Event{revoked("a")}, at: "0"},
		{events: []Event{{Op: Current, Position: "1"}}},
	}, func(s *script, _ FeedConfig, log string) {
		wantCalls(t, s, "snapshot", "follow 0", "snapshot", "follow 0")
		if strings.Contains(log, "written") {
			t.Errorf("logged:\n%s", log)
		}
	})
}

// TestR17Settling: a list that is settling is not called whole, and neither is
// one that is being written back by a replica that never had it.
func TestR17Settling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMirror(MirrorConfig{MaxStaleness: time.Second})
		f, _ := NewFeed(FeedConfig{Source: &script{t: t}, Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
		for i, c := range []struct {
			e     Event
			whole bool
		}{
			{Event{Op: Settling}, false},
			{Event{Op: Settling, Healing: true}, false},
			{Event{Op: Current, Healing: true}, false},
			{Event{Op: Current}, true},
			{Event{Op: Settling}, false}, // a gap later on
			{Event{Op: Current, Healing: true}, true},
		} {
			time.Sleep(2 * time.Second)
			c.e.Time = time.Now()
			if err := f.apply(t.Context(), c.e); err != nil {
				t.Fatal(err)
			}
			if whole := !m.Stale(time.Now()); whole != c.whole {
				t.Errorf("event %d: whole %v", i, whole)
			}
		}
	})
}

// taking is a source that lacked all that is written back, or had it and tells
// nothing.
type taking struct {
	Source
	got map[auth.RevocationKey]int
}

func (s *taking) Restore(_ context.Context, entries []auth.Revocation) error {
	for _, e := range entries {
		s.got[e.Key()]++
	}
	return nil
}

// TestHealingEnds: what was written back once is not written again, whether
// the source tells it or not.
func TestHealingEnds(t *testing.T) {
	const n = 5 * healBatch
	s := &taking{got: map[auth.RevocationKey]int{}}
	f, err := NewFeed(FeedConfig{Source: s, Mirror: NewMirror(MirrorConfig{}), Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		f.cfg.Mirror.Put(session(i, 50*365*24*time.Hour), t0)
	}
	f.healing = newHealing(f.cfg.Mirror)
	beats := 0
	for ; f.healing != nil && beats < 100; beats++ {
		f.heal(t.Context())
	}
	if beats > n/healBatch+2 || len(s.got) != n {
		t.Errorf("%d beats for %d of %d entries", beats, len(s.got), n)
	}
	for k, times := range s.got {
		if times != 1 {
			t.Fatalf("%x was written %d times", k, times)
		}
	}
}

// TestBatchIsBounded: also where a shard's table and its answers both have some.
func TestBatchIsBounded(t *testing.T) {
	m := NewMirror(MirrorConfig{MaxBytes: 1 << 20})
	m.narrow(t0)
	for i := range healBatch + 10 {
		kind := auth.KindClient
		if i >= healBatch {
			kind = auth.KindSession
		}
		m.Put(auth.Revocation{Kind: kind, ByKey: auth.RevocationKey{5: byte(i >> 8), 6: byte(i), 15: 8}, Until: t0.Add(time.Hour)}, t0)
	}
	h := newHealing(m)
	h.shard = 0
	if n := len(h.batch(m, t0)); n != healBatch {
		t.Errorf("%d at once", n)
	}
}
