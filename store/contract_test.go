package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// open opens a store that is closed with the test. Where the time that things
// take is not the point, a busy machine is given more of it.
func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return open(t, store.Config{URL: "memory:"}) })
}

func TestFile(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		return open(t, store.Config{URL: "file:" + filepath.Join(t.TempDir(), "s.db"), Own: true})
	})
}

func TestFileThroughItsOwner(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		url := "file:" + filepath.Join(shortDir(t), "s.db")
		open(t, store.Config{URL: url, Own: true})
		return open(t, store.Config{URL: url})
	})
}

func TestMiniredis(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		return open(t, store.Config{URL: "redis://" + miniredis.RunT(t).Addr()})
	})
}

func TestRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	storetest.Run(t, func(t *testing.T) *store.Store {
		server.Do(t, "FLUSHALL")
		return open(t, store.Config{URL: server.URL()})
	})
}
