package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/auth/revocation"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// TestStreamTrimming: old lines of the log go, but never the one that a
// follower who was told everything stands at.
func TestStreamTrimming(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	old := time.Now().Add(-time.Hour).UnixMilli()
	first := storetest.Position(t, s)
	log := string(first)[:strings.LastIndex(string(first), " ")]
	server.Do(t, "DEL", streamKey)
	position := func(n int) revocation.Position {
		return revocation.Position(fmt.Sprintf("%s %d-0", log, old+int64(n)))
	}
	for i := range 300 {
		server.Do(t, "XADD", streamKey, strconv.FormatInt(old+int64(i), 10)+"-0", "revoked", "sid 4 main a", "times", "1 2")
	}
	for i := range 300 {
		revoke(t, s, fmt.Sprint(i))
	}
	if got := storetest.Collect(t, s, position(299), 300); len(got) != 300 {
		t.Errorf("%d entries after the quiet hour", len(got))
	}
	err := s.Sources()[0].Follow(t.Context(), position(0), func(revocation.Event) error { return nil })
	if !errors.Is(err, revocation.ErrGap) {
		t.Errorf("from the beginning: %v, want ErrGap", err)
	}
}

// TestCurrent: the list is current as of a time at which the server was there,
// and not of one to come.
func TestCurrent(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	from, began, told := storetest.Position(t, s), time.Now(), 0
	revoke(t, s, "a")
	enough := errors.New("enough")
	err := s.Sources()[0].Follow(t.Context(), from, func(e revocation.Event) error {
		if e.Op != revocation.Current {
			return nil
		}
		if age := time.Since(e.Time); age < 0 || e.Time.Before(began) {
			t.Errorf("current as of %s ago", age)
		}
		if told++; told == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}

// TestCurrentAfterAll: a follower that is far behind is not told that the list
// is current before it was told all that was there.
func TestCurrentAfterAll(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	from := storetest.Position(t, s)
	server.Do(t, "EVAL", "for i = 1, 2500 do redis.call('XADD', KEYS[1], '*', 'revoked', 'sid 4 main '..i, 'times', '1 4000000000') end", "1", streamKey)
	if got := storetest.Collect(t, s, from, 0); len(got) != 2500 {
		t.Errorf("told that it is whole after %d of 2500 entries", len(got))
	}
}

// TestManyEntries reads a list of several pages.
func TestManyEntries(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	server.Do(t, "EVAL", "for i = 1, 3000 do redis.call('HSET', KEYS[1], 'sid 4 main '..i, '4294967295 4000000000') end", "1", entriesKey)
	if got := storetest.Revocations(t, s); len(got) != 3000 {
		t.Errorf("%d entries", len(got))
	}
}

// TestExpiredEntriesGo: each write takes out entries that are long over.
func TestExpiredEntriesGo(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	put := func(id string, ago time.Duration) {
		until := strconv.FormatInt(time.Now().Add(-ago).Unix(), 10)
		server.Do(t, "HSET", entriesKey, "sid 4 main "+id, "4294967295 "+until)
		server.Do(t, "ZADD", "gatehouse:{0}:expiry", until, "sid 4 main "+id)
	}
	for i := range 150 {
		put(fmt.Sprint("old", i), time.Hour)
	}
	put("just over", time.Minute)
	for _, want := range []string{"52", "3", "4"} { // 100 at a time
		revoke(t, s, "new"+want)
		if got := server.Do(t, "HLEN", entriesKey); got != want {
			t.Errorf("%s entries, want %s", got, want)
		}
		if got := server.Do(t, "ZCARD", "gatehouse:{0}:expiry"); got != want {
			t.Errorf("%s in the order of expiry, want %s", got, want)
		}
	}
	if got := storetest.Revocations(t, s); len(got) != 3 {
		t.Errorf("the list shows %d entries", len(got))
	}
}

// TestYoungLog: where nothing is old enough to be trimmed nobody looks for it,
// which would mean to walk through all of the log at each write.
func TestYoungLog(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	revoke(t, s, "a")
	revoke(t, s, "b")
	if used := server.Do(t, "INFO", "commandstats"); strings.Contains(used, "cmdstat_xrevrange") || strings.Contains(used, "cmdstat_xtrim") {
		t.Errorf("a write looked for what is old:\n%s", used)
	}
}
