package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const firstEpoch = "gatehouse:{0}:epoch"

// TestShardsRefused: who divides the list otherwise than it is divided is told
// so, and changes nothing.
func TestShardsRefused(t *testing.T) {
	server := storetest.StartRedis(t)
	for _, c := range [][2]int{{1, 4}, {4, 1}, {4, 8}, {8, 4}} {
		server.Do(t, "FLUSHALL")
		revoke(t, open(t, store.Config{URL: server.URL(), Shards: c[0]}), "s")
		before := server.Do(t, "DBSIZE")
		_, err := store.Open(t.Context(), store.Config{URL: server.URL(), Shards: c[1]})
		wantUnavailable(t, err, fmt.Sprintf("set store.revocation_shards to %d", c[0]))
		if got := server.Do(t, "DBSIZE"); got != before {
			t.Errorf("%v: %s keys, before %s", c, got, before)
		}
	}
	for _, n := range []int{-1, 3, 128} {
		if _, err := store.Open(t.Context(), store.Config{URL: server.URL(), Shards: n}); !errors.Is(err, revocation.ErrShardCount) {
			t.Errorf("%d shards: %v", n, err)
		}
	}
}

// TestShardsBegun: whoever writes to a shard that is not the first begins the
// first as well, so that nobody divides the list otherwise later on.
func TestShardsBegun(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL(), Shards: 4})
	r := storetest.Session("s")
	for i := 0; revocation.ShardOf(r.Key(), 4) == 0; i++ {
		r = storetest.Session(fmt.Sprint("s", i))
	}
	revoke(t, s, r.ID)
	if epoch := server.Do(t, "GET", firstEpoch); !strings.HasSuffix(epoch, "/4") {
		t.Errorf("the first shard's epoch is %q", epoch)
	}
}

// TestShardsChangedBehindBack: who has not noticed yet that the list is divided
// anew writes nothing to where nobody would look for it.
func TestShardsChangedBehindBack(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL(), Shards: 1})
	revoke(t, s, "a")
	server.Do(t, "SET", firstEpoch, "x/4")
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("b")), "ask again")
	wantUnavailable(t, s.PutAPIKey(t.Context(), auth.APIKey{ID: "app"}), "4 shards")
	if n := server.Do(t, "HLEN", entriesKey); n != "1" {
		t.Errorf("%s entries", n)
	}
}

// TestShardsNoticed: what one shard has noticed the others know, and an
// announcement is for all shards that there are now.
func TestShardsNoticed(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL(), Shards: 4, PollEvery: 20 * time.Millisecond})
	first, other := s.Sources()[0], s.Sources()[1]
	nothing := func(revocation.Event) error { return nil }
	from, err := other.Snapshot(t.Context(), nothing)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var beats atomic.Int32
	ended := make(chan error, 1)
	go func() {
		ended <- other.Follow(ctx, from, func(revocation.Event) error { beats.Add(1); return nil })
	}()
	follows := func() {
		t.Helper()
		n := beats.Load()
		storetest.Until(t, "it follows", func() bool { return beats.Load() > n+3 })
	}
	follows()
	if _, err := first.Snapshot(t.Context(), nothing); err != nil { // a connection beside the follower's
		t.Fatal(err)
	}
	follows()
	server.Do(t, "SET", firstEpoch, "x/8")
	follows() // a shard's own epoch says nothing of that
	_, err = first.Snapshot(t.Context(), nothing)
	wantUnavailable(t, err, "has 8 shards")
	wantUnavailable(t, <-ended, "has 8 shards")
	if err := other.Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if server.Do(t, "EXISTS", fmt.Sprintf("gatehouse:{%d}:healing", i)) != "1" {
			t.Errorf("nothing is announced to shard %d", i)
		}
	}
}

// TestShardsUnreadable: an epoch that says no number of shards is not one shard.
func TestShardsUnreadable(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := storetest.StartRedis(t)
	for _, epoch := range []string{"x/", "x/3", "x/0", "x/4/4", "x/128", "x/-4"} {
		server.Do(t, "SET", firstEpoch, epoch)
		s := open(t, store.Config{URL: server.URL(), Shards: 1})
		_, err := s.Sources()[0].Snapshot(t.Context(), func(revocation.Event) error { return nil })
		wantUnavailable(t, err, "cannot be read")
		wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("s")), "")
		server.Do(t, "FLUSHALL")
	}
}

// TestR17ShardsLost: the store is lost, and whoever begins it anew divides it
// otherwise than those that know what was in it. They do not serve it, but it
// gets all that they know.
func TestR17ShardsLost(t *testing.T) {
	t.Parallel()   // it waits more than it works
	const n = 1200 // more than a batch for each shard
	for _, c := range [][2]int{{4, 8}, {4, 1}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			server := storetest.StartRedis(t)
			s := open(t, store.Config{URL: server.URL(), Shards: c[0]})
			old, stop := storetest.Feed(t, s, slog.New(slog.DiscardHandler))
			defer stop()
			for i := range n {
				revoke(t, s, fmt.Sprint(i))
			}
			storetest.Until(t, "it knows all", func() bool { return has(old, n) == n && old.Complete() })

			// A feed that knows nothing begins the store anew before the one that
			// knows all has noticed.
			server.Do(t, "EVAL", "redis.call('FLUSHALL') redis.call('SET', KEYS[1], ARGV[1])", "1", firstEpoch, strings.TrimSuffix(fmt.Sprint("begun/", c[1]), "/1"))
			fresh, stopFresh := storetest.Feed(t, open(t, store.Config{URL: server.URL(), Shards: c[1]}), failOn(t, slog.LevelError))
			defer stopFresh()
			storetest.Until(t, "the fresh one is whole", fresh.Complete)
			if got := has(fresh, n); got != n {
				t.Errorf("it calls itself whole with %d of %d entries", got, n)
			}
			wantOutdated(t, s, old, n)
			if got := len(storetest.Revocations(t, open(t, store.Config{URL: server.URL(), Shards: c[1]}))); got != n {
				t.Errorf("the store has %d of %d entries", got, n)
			}
		})
	}
}

// wantOutdated wants a replica that was told another number of shards to know
// what it knows, to grow old, and to write nothing.
func wantOutdated(t *testing.T, s *store.Store, m revocation.Mirrors, n int) {
	t.Helper()
	age := m.Age(time.Now())
	if got := has(m, n); got != n {
		t.Errorf("the one that is not served any more forgot: %d of %d", got, n)
	}
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("refused")), "revocation_shards")
	_, err := s.Sources()[len(m)-1].Snapshot(t.Context(), func(revocation.Event) error { return nil })
	wantUnavailable(t, err, "revocation_shards")
	for _, source := range s.Sources() {
		_, _, err := source.(revocation.Confirmer).Confirm(t.Context(), "epoch run 1-1", storetest.Session("new"))
		wantUnavailable(t, err, "revocation_shards")
	}
	storetest.Until(t, "it grows older", func() bool { return m.Age(time.Now()) > age+100*time.Millisecond })
}

// TestShardsChanged changes the number under a replica, as docs/revocation.md
// tells to: the next ones begin with all that was in the list, those from before
// say what is wrong. It works without a replica too where the number grows.
func TestShardsChanged(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := storetest.StartRedis(t)
	const n = 300
	seed := open(t, store.Config{URL: server.URL(), Shards: 1})
	for i := range n {
		revoke(t, seed, fmt.Sprint(i))
	}
	for _, c := range []struct {
		from, to int
		running  bool
	}{{1, 8, false}, {8, 2, true}, {2, 4, true}} {
		var old revocation.Mirrors
		stop := func() {}
		s := open(t, store.Config{URL: server.URL(), Shards: c.from})
		if c.running {
			old, stop = storetest.Feed(t, s, slog.New(slog.DiscardHandler))
			storetest.Until(t, "it knows all", func() bool { return has(old, n) == n && old.Complete() })
		}
		server.Do(t, "SET", firstEpoch, strings.TrimSuffix(fmt.Sprintf("changed%d/%d", c.to, c.to), "/1"))
		next := open(t, store.Config{URL: server.URL(), Shards: c.to})
		if c.running { // it is restarted once it has handed all over
			storetest.Until(t, "all are where they belong", func() bool { return placed(t, next) == n })
			wantOutdated(t, s, old, n)
			stop()
		}
		began := time.Now()
		fresh, stopFresh := storetest.Feed(t, open(t, store.Config{URL: server.URL(), Shards: c.to}), failOn(t, slog.LevelError))
		storetest.Until(t, "the next is whole", fresh.Complete)
		t.Logf("%d to %d shards: whole after %s", c.from, c.to, time.Since(began).Round(time.Millisecond))
		if got := has(fresh, n); got != n {
			t.Errorf("%+v: whole with %d of %d entries", c, got, n)
		}
		stopFresh()
	}
}

// placed counts the entries of a list that are in their shards, by name or key.
func placed(t *testing.T, s *store.Store) int {
	t.Helper()
	seen := map[auth.RevocationKey]bool{}
	for i, source := range s.Sources() {
		_, err := source.Snapshot(t.Context(), func(e revocation.Event) error {
			if key := e.Revocation.Key(); revocation.ShardOf(key, len(s.Sources())) == i {
				seen[key] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return len(seen)
}

// TestR17ShardLost: a shard that is lost alone is healed alone.
func TestR17ShardLost(t *testing.T) {
	t.Parallel() // it waits more than it works
	const n = 200
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL(), Shards: 4})
	m, stop := storetest.Feed(t, s, failOn(t, slog.LevelError))
	defer stop()
	for i := range n {
		revoke(t, s, fmt.Sprint(i))
	}
	storetest.Until(t, "whole", func() bool { return has(m, n) == n && m.Complete() })
	lengths := func() (all []string) {
		for i := range 4 {
			all = append(all, server.Do(t, "XLEN", fmt.Sprintf("gatehouse:{%d}:stream", i))+"/"+server.Do(t, "HLEN", fmt.Sprintf("gatehouse:{%d}:revocations", i)))
		}
		return all
	}
	before := lengths()
	var keys []string
	for _, part := range []string{"epoch", "stream", "revocations", "expiry", "server"} {
		keys = append(keys, "gatehouse:{2}:"+part)
	}
	server.Do(t, append([]string{"DEL"}, keys...)...)
	fresh, stopFresh := storetest.Feed(t, open(t, store.Config{URL: server.URL(), Shards: 4}), failOn(t, slog.LevelError))
	defer stopFresh()
	storetest.Until(t, "a fresh one is whole", fresh.Complete)
	if got := has(fresh, n); got != n {
		t.Errorf("whole with %d of %d entries", got, n)
	}
	after := lengths()
	for i := range 4 {
		if before[i] != after[i] && i != 2 {
			t.Errorf("shard %d was written to: %s, then %s", i, before[i], after[i])
		}
	}
	if !strings.HasSuffix(server.Do(t, "GET", "gatehouse:{2}:epoch"), "/4") {
		t.Error("the shard was not begun anew")
	}
}
