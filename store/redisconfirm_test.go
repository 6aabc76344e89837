package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const filtered = 3000 // entries, more than fit into filterBytes

// feedInto runs a feed of a mirror of that many bytes, 0 being no bound.
func feedInto(t *testing.T, s *store.Store, bytes int) *revocation.Mirror {
	t.Helper()
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: time.Hour, MaxBytes: bytes})
	f, err := revocation.NewFeed(revocation.FeedConfig{
		Source: s.Sources()[0], Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	storetest.Until(t, "whole", m.Complete)
	return m
}

// fill puts entries into the server with these numbers as ids.
func fill(t testing.TB, server *storetest.Redis, from, to int) {
	const script = `for i = ARGV[1], ARGV[2] do
  redis.call('HSET', KEYS[1], 'sid 4 main ' .. string.format('%.0f', i), '4294967295 ' .. ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[3], 'sid 4 main ' .. string.format('%.0f', i))
end`
	until := strconv.FormatInt(time.Now().Add(24*time.Hour).Unix(), 10)
	for ; from < to; from += 10_000 {
		server.Do(t, "EVAL", script, "2", entriesKey, "gatehouse:{0}:expiry", strconv.Itoa(from), strconv.Itoa(min(from+10_000, to)-1), until)
	}
}

// tally asks a mirror about sessions and counts what it says: covered, not
// covered, cannot be had.
func tally(t *testing.T, m *revocation.Mirror, from, to int) (n [3]int) {
	t.Helper()
	for i := from; i < to; i++ {
		c, err := m.Confirm(t.Context(), storetest.Session(strconv.Itoa(i)), 0, time.Now().Unix())
		if (err != nil) != (c == auth.Unsure) {
			t.Fatal(c, err)
		}
		n[c]++
	}
	return n
}

// TestFilterConfirmed: with a filter in place of the entries all of them are
// denied, by asking, and nothing else is.
func TestFilterConfirmed(t *testing.T) {
	server := storetest.StartRedis(t)
	fill(t, server, 0, filtered)
	s := open(t, store.Config{URL: server.URL(), Timeout: 200 * time.Millisecond})
	const small = 32 << 10 // 12 KiB of filter: 33 bits an entry, some tenth of a percent mistaken
	m := feedInto(t, s, small)
	if m.FilterBits() == 0 {
		t.Fatal("there is no filter")
	}
	if got := tally(t, m, 0, filtered); got != [3]int{auth.Covered: filtered} {
		t.Errorf("of revoked sessions: %v", got)
	}
	const good = 20_000
	if got := tally(t, m, filtered, filtered+good); got != [3]int{auth.NotCovered: good} {
		t.Errorf("of good sessions: %v", got)
	}
	revoke(t, s, "100000")
	storetest.Until(t, "the log told it", func() bool {
		return m.Covers(auth.KindSession, storetest.Session("100000").Key(), 0, time.Now().Unix()) == auth.Covered
	})
	// Without the store the revoked are denied all the same, and of the good
	// those alone that the filter is mistaken about and nobody asked for before.
	server.Kill()
	got := tally(t, m, 0, 200)
	if got[auth.NotCovered] > 0 || got[auth.Covered] == 0 {
		t.Errorf("without the store, of revoked sessions: %v", got)
	}
	if c, err := m.Confirm(t.Context(), storetest.Session("100000"), 0, time.Now().Unix()); c != auth.Covered {
		t.Errorf("without the store, of one that the log has told: %d %v", c, err)
	}
	got = tally(t, m, 200_000, 210_000)
	if got[auth.Covered] > 0 || got[auth.Unsure] > 200 {
		t.Errorf("without the store, of good sessions: %v", got)
	}
	t.Logf("without the store, of 10000 good sessions not asked for before: %d cannot be told", got[auth.Unsure])
}

// TestR17FilterAlone: when the data are lost and nobody has them but in a
// filter, what was revoked is never let in, and new revocations are in force.
func TestR17FilterAlone(t *testing.T) {
	server := storetest.StartRedis(t)
	fill(t, server, 0, filtered)
	s := open(t, store.Config{URL: server.URL(), Timeout: time.Second})
	m := feedInto(t, s, 32<<10)
	position := storetest.Position(t, s)
	server.Do(t, "FLUSHALL")
	for range 4 { // while it settles, and after
		if got := tally(t, m, 0, filtered); got[auth.NotCovered] > 0 {
			t.Fatalf("after the loss %d revoked sessions are let in", got[auth.NotCovered])
		}
		time.Sleep(700 * time.Millisecond)
	}
	revoke(t, s, "new")
	storetest.Until(t, "the new one is told", func() bool {
		return m.Covers(auth.KindSession, storetest.Session("new").Key(), 0, time.Now().Unix()) == auth.Covered
	})
	if position == storetest.Position(t, s) {
		t.Error("the position is the same as before the loss")
	}
	if got := tally(t, m, filtered, 2*filtered); got[auth.Covered] > 0 || got[auth.Unsure] > filtered/100 {
		t.Errorf("of good sessions: %v", got)
	}
}

// TestR17FilterVouched: a replica that holds all entries writes them back and
// says so, and then the filter of another is confirmed again.
func TestR17FilterVouched(t *testing.T) {
	server := storetest.StartRedis(t)
	fill(t, server, 0, filtered)
	s := open(t, store.Config{URL: server.URL(), Timeout: time.Second})
	exact, narrow := feedInto(t, s, 0), feedInto(t, s, 32<<10)
	for loss := range 2 {
		server.Do(t, "FLUSHALL")
		ended := time.Now().Add(10 * time.Second)
		for {
			got := tally(t, narrow, 0, filtered)
			if got[auth.NotCovered] > 0 {
				t.Fatalf("loss %d: %d revoked sessions are let in", loss, got[auth.NotCovered])
			}
			good := tally(t, narrow, (loss+2)*100_000, (loss+2)*100_000+filtered)
			if got[auth.Covered] == filtered && good[auth.NotCovered] == filtered {
				break
			}
			if time.Now().After(ended) {
				t.Fatalf("loss %d: of revoked sessions %v, of good ones %v", loss, got, good)
			}
		}
	}
	if got := tally(t, exact, 0, filtered); got[auth.Covered] != filtered {
		t.Errorf("the one that has all: %v", got)
	}
	if n := server.Do(t, "HLEN", entriesKey); n != fmt.Sprint(filtered) {
		t.Errorf("%s entries in the store", n)
	}
}

// TestR17Whole: what the store does not have is believed not to be revoked only
// by the log that was read, or on the word of somebody who had read as far.
func TestR17Whole(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL(), Timeout: time.Second})
	revoke(t, s, "a")
	source, here := s.Sources()[0], storetest.Position(t, s)
	parts := strings.Split(string(here), " ")
	epoch, run := parts[0], parts[1]
	ms, err := strconv.Atoi(parts[2][:strings.Index(parts[2], "-")])
	if err != nil {
		t.Fatal(err)
	}
	const vouchedKey = "gatehouse:{0}:vouched"
	at := func(run string, later int) revocation.Position {
		return revocation.Position(fmt.Sprintf("%s %s %d-0", epoch, run, ms+later))
	}
	confirm := func(what string, since revocation.Position, want bool, asked ...auth.Revocation) int {
		t.Helper()
		there, whole, err := source.Confirm(t.Context(), since, asked...)
		if err != nil || whole != want {
			t.Errorf("%s: whole %t, %v", what, whole, err)
		}
		return len(there)
	}
	vouch := func(since, now revocation.Position) {
		t.Helper()
		if err := source.Vouch(t.Context(), since, now); err != nil {
			t.Fatal(err)
		}
	}
	confirm("where the log ends", here, true)
	confirm("a line that is not there", at(run, 1), false)
	confirm("another server", revocation.Position(epoch+" other "+parts[2]), false)
	confirm("another epoch", revocation.Position("OTHER "+run+" "+parts[2]), false)

	vouch(here, here)
	if n := server.Do(t, "HLEN", vouchedKey); n != "0" {
		t.Errorf("what is here was vouched for: %s lines", n)
	}
	vouch(at("old", 0), at("third", 0))
	confirm("vouched for what is not here", at("old", 0), false)
	vouch(at("old", 0), here)
	confirm("vouched for", at("old", 0), true)
	confirm("a little later", at("old", 2000), true)
	confirm("too much later", at("old", 2001), false)
	vouch(at("old", 1000), here)
	vouch(at("old", 0), here)
	confirm("by one who had read further", at("old", 3000), true)
	server.Do(t, "HSET", vouchedKey, "old/"+epoch, "third/"+epoch+" 9999999999999")
	confirm("vouched for another", at("old", 0), false)
	vouch(at("old", 0), here)
	confirm("and then for this", at("old", 0), true)

	entry := auth.Revocation{Kind: auth.KindSession, ByKey: storetest.Session("by its key").Key(), Until: time.Now().Add(time.Hour)}
	if err := source.Restore(t.Context(), []auth.Revocation{entry}); err != nil {
		t.Fatal(err)
	}
	if n := confirm("while others write back", at("old", 0), false, storetest.Session("by its key"), storetest.Session("b")); n != 1 {
		t.Errorf("%d of one are there", n)
	}
	confirm("while others write back, by the log", here, true)
	server.Do(t, "DEL", "gatehouse:{0}:healing")
	confirm("when they have", at("old", 0), true)

	// Divided anew, what belongs here may be elsewhere.
	server.Do(t, "SET", "gatehouse:{0}:epoch", epoch+"/2")
	other := new(*revocation.ShardsError)
	if _, err := source.Snapshot(t.Context(), func(revocation.Event) error { return nil }); !errors.As(err, other) {
		t.Fatal(err)
	}
	if _, _, err := source.Confirm(t.Context(), here); !errors.As(err, other) {
		t.Errorf("divided anew: %v", err)
	}
}
