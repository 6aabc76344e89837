package revocation

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func newMirrors(t testing.TB, n int) Mirrors {
	t.Helper()
	m, err := NewMirrors(n, MirrorConfig{MaxStaleness: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMirrorsNumber(t *testing.T) {
	for n := -2; n <= 130; n++ {
		_, err := NewMirrors(n, MirrorConfig{})
		power := n == 1 || n == 2 || n == 4 || n == 8 || n == 16 || n == 32 || n == 64
		if (err == nil) != power || err != nil && !errors.Is(err, ErrShardCount) {
			t.Errorf("%d shards: %v", n, err)
		}
	}
}

// Every entry is found in whatever number of shards, each shard has its share,
// and each mirror uses all of its own parts.
func TestMirrorsDivide(t *testing.T) {
	const entries = MaxShards * 250
	for n := 1; n <= MaxShards; n *= 2 {
		m := newMirrors(t, n)
		for i := range entries {
			m.Put(session(fmt.Sprint(i), time.Hour), t0)
		}
		for i := range entries {
			if m.Covers(auth.KindSession, session(fmt.Sprint(i), 0).Key(), 0, t0.Unix()) != auth.Covered {
				t.Fatalf("%d shards: entry %d is lost", n, i)
			}
		}
		if got := m.Len()[auth.KindSession]; got != entries {
			t.Errorf("%d shards: %d entries", n, got)
		}
		for i, each := range m {
			got, want := float64(each.Len()[auth.KindSession]), float64(entries/n)
			if math.Abs(got-want) > 6*math.Sqrt(want) {
				t.Errorf("shard %d of %d has %v entries, want about %v", i, n, got, want)
			}
			used := 0
			for j := range each.shards {
				if each.shards[j].table.Load() != nil {
					used++
				}
			}
			if used < shardCount/2 {
				t.Errorf("shard %d of %d uses %d of %d parts", i, n, used, shardCount)
			}
		}
	}
}

// The list is as whole, and as old, as its worst shard.
func TestMirrorsWhole(t *testing.T) {
	m := newMirrors(t, 4)
	for i, each := range m {
		if m.Complete() || !m.Stale(t0) || m.Age(t0) != math.MaxInt64 {
			t.Fatalf("whole with %d of 4 shards", i)
		}
		each.Current(t0.Add(-time.Duration(i) * time.Second))
	}
	if !m.Complete() || m.Stale(t0) || m.Age(t0) != 3*time.Second {
		t.Errorf("complete %v, stale %v, age %s", m.Complete(), m.Stale(t0), m.Age(t0))
	}
	m[1].Current(t0.Add(-time.Hour))
	if !m.Stale(t0) || m.Age(t0) != time.Hour {
		t.Errorf("one shard is an hour old: stale %v, age %s", m.Stale(t0), m.Age(t0))
	}
	m.Current(t0)
	if m.Age(t0) != 0 {
		t.Errorf("all are current: %s", m.Age(t0))
	}
}

func TestMirrorsFilterBits(t *testing.T) {
	m := newMirrors(t, 4)
	for i := range m {
		m[i].cfg.MaxBytes = 1 << 12
		if bits := m.FilterBits(); bits != i*m[0].FilterBits() {
			t.Errorf("%d bits with %d filters", bits, i)
		}
		m[i].narrow(t0)
	}
	if m.FilterBits() != 4*m[0].FilterBits() || m[0].FilterBits() == 0 {
		t.Errorf("%d bits", m.FilterBits())
	}
}

// BenchmarkMirrors compares a look-up in one mirror with one in shards.
func BenchmarkMirrors(b *testing.B) {
	const entries = 100_000
	lists := map[string]auth.RevocationList{"bare": newMirrors(b, 1)[0], "1": newMirrors(b, 1), "16": newMirrors(b, 16)}
	keys := make([]auth.RevocationKey, entries)
	for i := range keys {
		r := session(fmt.Sprint(i), time.Hour)
		keys[i] = r.Key()
		for _, l := range lists {
			l.(interface {
				Put(auth.Revocation, time.Time)
			}).Put(r, t0)
		}
	}
	for _, name := range []string{"bare", "1", "16"} {
		l := lists[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if l.Covers(auth.KindSession, keys[i%entries], 0, t0.Unix()) != auth.Covered {
					b.Fatal("lost")
				}
			}
		})
	}
}

// TestR17HandedOver: where the list is kept in another number of shards, what a
// mirror knows is written to there, once for each time that the list was begun,
// and again until it has worked.
func TestR17HandedOver(t *testing.T) {
	first := &ShardsError{Have: 2, Want: 1, Epoch: "a/2"}
	second := &ShardsError{Have: 2, Want: 1, Epoch: "b/2"}
	down := errors.New("down")
	run(t, []step{
		{events: []Event{revoked("a")}, at: "1"},
		{err: fmt.Errorf("unavailable: %w", first)}, // following
		{},
		{}, // announced, written
		{err: first},
		{err: second},
		{err: down}, // the announcement fails
		{err: second},
		{},
		{err: down}, // what is written fails
		{err: second},
		{},
		{},
		{err: second},
		{at: "2"},
		{},
		{},
	}, func(s *script, cfg FeedConfig, log string) {
		wantCalls(t, s, "snapshot", "follow 1", "restore", "restore key sid",
			"snapshot",
			"snapshot", "restore",
			"snapshot", "restore", "restore key sid",
			"snapshot", "restore", "restore key sid",
			"snapshot",
			"snapshot", "restore", "follow 2")
		if !has(cfg.Mirror, "a") || cfg.Mirror.Complete() {
			t.Errorf("has it: %v, calls itself whole: %v", has(cfg.Mirror, "a"), cfg.Mirror.Complete())
		}
		if !strings.Contains(log, "set store.revocation_shards to 2") {
			t.Errorf("logged:\n%s", log)
		}
	})
}

// TestNothingToHandOver: a mirror that knows nothing writes nothing.
func TestNothingToHandOver(t *testing.T) {
	other := &ShardsError{Have: 2, Want: 1, Epoch: "a/2"}
	run(t, []step{{err: other}, {err: other}, {}, {}}, func(s *script, _ FeedConfig, _ string) {
		wantCalls(t, s, "snapshot", "snapshot", "snapshot", "follow ")
	})
}

// TestEntryOfAnotherShard: an entry that was written while there were fewer shards
// is in force where it is looked up.
func TestEntryOfAnotherShard(t *testing.T) {
	m := newMirrors(t, 2)
	e := session("0", time.Hour)
	for i := 0; m.Of(e.Key()) != m[1]; i++ {
		e.ID = strconv.Itoa(i)
	}
	f, err := NewFeed(FeedConfig{Source: &modelSource{}, Mirror: m[0], Mirrors: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	f.put(e, t0, true)
	if m.Covers(e.Kind, e.Key(), 0, t0.Unix()) != auth.Covered {
		t.Error("it is let in")
	}
}
