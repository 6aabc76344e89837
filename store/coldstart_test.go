package store_test

import (
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// BenchmarkColdStart is the time from nothing to a whole mirror of a million
// entries, from a Redis that is known and from a file.
func BenchmarkColdStart(b *testing.B) {
	const entries = 1_000_000
	start := func(s *store.Store) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				m, stop := storetest.Feed(b, s, slog.New(slog.DiscardHandler))
				for !m.Complete() {
					time.Sleep(time.Millisecond)
				}
				b.StopTimer()
				if n := m.Len()[auth.KindSession]; n != entries {
					b.Fatalf("%d entries", n)
				}
				stop()
				b.StartTimer()
			}
		}
	}
	b.Run("redis", func(b *testing.B) {
		server := storetest.StartRedis(b)
		fill(b, server, 0, entries)
		s := open(b, store.Config{URL: server.URL()})
		_, stop := storetest.Feed(b, s, slog.New(slog.DiscardHandler)) // so that it is known
		stop()
		time.Sleep(2 * time.Second)
		start(s)(b)
		_, stats, _ := strings.Cut(server.Do(b, "INFO", "commandstats"), "cmdstat_hscan:")
		stats, _, _ = strings.Cut(stats, "\r")
		b.Log("the server's part: ", stats)
	})
	b.Run("file", func(b *testing.B) {
		s := open(b, store.Config{URL: "file:" + filepath.Join(b.TempDir(), "s.db"), Own: true})
		var batch []auth.Revocation
		for i := range entries {
			if batch = append(batch, storetest.Session(strconv.Itoa(i))); len(batch) == 50_000 {
				if err := s.Sources()[0].Restore(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				batch = nil
			}
		}
		start(s)(b)
	})
}
