package store_test

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// has counts the entries that a mirror has of those named 0 to n-1.
func has(m revocation.Mirrors, n int) (count int) {
	for i := range n {
		if m.Covers(auth.KindSession, storetest.Session(fmt.Sprint(i)).Key(), 0, time.Now().Unix()) == auth.Covered {
			count++
		}
	}
	return count
}

// TestR17Healed: after all was lost the replicas write back what they know,
// together, and one that starts meanwhile is not whole before it has that.
func TestR17Healed(t *testing.T) {
	const n = 1500 // more than two batches
	server := storetest.StartRedis(t)
	var replicas []revocation.Mirrors
	for range 2 {
		m, stop := storetest.Feed(t, open(t, store.Config{URL: server.URL()}), failOn(t, slog.LevelError))
		defer stop()
		replicas = append(replicas, m)
	}
	s := open(t, store.Config{URL: server.URL()})
	for i := range n {
		revoke(t, s, fmt.Sprint(i))
	}
	for _, m := range replicas {
		storetest.Until(t, "all follow", func() bool { return has(m, n) == n && m.Complete() })
	}
	// What only one was told goes to the other too.
	alone := storetest.Session("alone")
	replicas[1].Put(alone, time.Now())

	server.Do(t, "FLUSHALL")
	began := time.Now()
	fresh, stop := storetest.Feed(t, open(t, store.Config{URL: server.URL()}), failOn(t, slog.LevelError))
	defer stop()
	storetest.Until(t, "the fresh one is whole", fresh.Complete)
	t.Logf("whole %s after the loss", time.Since(began).Round(time.Millisecond))
	if got := has(fresh, n); got != n {
		t.Errorf("the fresh one calls itself whole with %d of %d entries", got, n)
	}
	for i, m := range append(replicas, fresh) {
		if m.Covers(auth.KindSession, alone.Key(), 0, time.Now().Unix()) != auth.Covered {
			t.Errorf("replica %d lacks what only one knew", i)
		}
	}
	list := storetest.Revocations(t, s)
	if len(list) != n+1 || slices.ContainsFunc(list, func(r auth.Revocation) bool { return r.ID != "" || !r.ByKey.Valid() }) {
		t.Errorf("the store has %d of %d entries", len(list), n+1)
	}
	if got := server.Do(t, "XLEN", streamKey); got != strconv.Itoa(n+2) { // and where the log begins
		t.Errorf("%s lines in the log for %d entries", got, n+1)
	}
}

// TestR15LostWrites: another server, with the same epoch, that lacks what only
// the writer has heard of, and where nobody's position is missing.
func TestR15LostWrites(t *testing.T) {
	server := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	_, port, _ := net.SplitHostPort(server.Addr)
	replica := storetest.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	linked := func() bool { return strings.Contains(server.Do(t, "INFO", "replication"), "state=online") }
	storetest.Until(t, "the replica is linked", linked)
	proxy := newLossy(t, server.Addr)
	s := open(t, store.Config{URL: "redis://" + proxy.addr})
	m, stop := storetest.Feed(t, s, slog.New(slog.DiscardHandler))
	defer stop()
	revoke(t, s, "0")
	storetest.Until(t, "whole", func() bool { return m.Complete() && has(m, 1) == 1 })
	storetest.Until(t, "replicated", func() bool { return replica.Do(t, "HLEN", entriesKey) == "1" })
	epoch := server.Do(t, "GET", "gatehouse:{0}:epoch")

	lost := storetest.Session("lost")
	m.Put(lost, time.Now()) // written here, acknowledged, and on its way to nobody
	replica.Do(t, "REPLICAOF", "NO", "ONE")
	proxy.server.Store(&replica.Addr)
	server.Kill()
	storetest.Until(t, "the new master has it", func() bool { return replica.Do(t, "HLEN", entriesKey) == "2" })
	if got := replica.Do(t, "GET", "gatehouse:{0}:epoch"); got != epoch {
		t.Errorf("the epoch changed from %s to %s", epoch, got)
	}
}

// TestR17Settling: what the first to ask a server finds is not called whole
// before others had the time to write back, however long it has run.
func TestR17Settling(t *testing.T) {
	server := storetest.StartRedis(t)
	whole := func() time.Duration {
		began := time.Now()
		m, stop := storetest.Feed(t, open(t, store.Config{URL: server.URL()}), failOn(t, slog.LevelError))
		defer stop()
		storetest.Until(t, "whole", m.Complete)
		return time.Since(began)
	}
	const settle, quick = 1400 * time.Millisecond, time.Second
	if took := whole(); took < settle {
		t.Errorf("an empty server: whole after %s", took)
	} else {
		t.Logf("an empty server: whole after %s", took.Round(time.Millisecond))
	}
	if took := whole(); took > quick {
		t.Errorf("a server that is known: whole after %s", took)
	} else {
		t.Logf("a server that is known: whole after %s", took.Round(time.Millisecond))
	}
	server.Do(t, "SET", "gatehouse:{0}:server", "another 1")
	if took := whole(); took < settle {
		t.Errorf("another server: whole after %s", took)
	}
	server.Do(t, "SET", "gatehouse:{0}:epoch", "another")
	if took := whole(); took < settle {
		t.Errorf("another epoch: whole after %s", took)
	}
	server.Do(t, "DEL", "gatehouse:{0}:server") // as an older version left it
	if took := whole(); took < settle {
		t.Errorf("nobody noted which server: whole after %s", took)
	}
	// One that cannot be written to: nobody will write anything back.
	server.Do(t, "SET", "gatehouse:{0}:server", "another 1")
	server.Do(t, "CONFIG", "SET", "maxmemory", "1")
	storetest.Until(t, "up for longer than it settles", func() bool {
		return !strings.Contains(server.Do(t, "INFO", "server"), "uptime_in_seconds:1\r")
	})
	if took := whole(); took > quick {
		t.Errorf("a full server: whole after %s", took)
	}
	server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	whole()
	// While somebody writes back it is not whole for whoever starts.
	s := open(t, store.Config{URL: server.URL()})
	if err := s.Sources()[0].Restore(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if took := whole(); took < 500*time.Millisecond || took > settle {
		t.Errorf("while entries are written back: whole after %s", took)
	}
}

// BenchmarkRestore writes entries back in batches of 500, each new.
func BenchmarkRestore(b *testing.B) {
	server := storetest.StartRedis(b)
	s := open(b, store.Config{URL: server.URL()})
	entries, n := make([]auth.Revocation, 500), 0
	for b.Loop() {
		for i := range entries {
			n++
			r := storetest.Session(strconv.Itoa(n))
			entries[i] = auth.Revocation{Kind: r.Kind, ByKey: r.Key(), Until: r.Until}
		}
		if err := s.Sources()[0].Restore(b.Context(), entries); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
}
