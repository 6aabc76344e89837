package store_test

import (
	"testing"
	"time"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// TestR13BackAtOnce: however long a server was away, the first question after it
// is back reaches it.
func TestR13BackAtOnce(t *testing.T) {
	t.Parallel()
	single, cluster := storetest.StartRedis(t), storetest.StartCluster(t, 1, 0)
	for url, server := range map[string]*storetest.Redis{single.URL(): single, storetest.ClusterURL(cluster): cluster[0]} {
		s := open(t, store.Config{URL: url, Timeout: time.Second})
		revoke(t, s, "before")
		server.Kill()
		for range 12 {
			wantUnavailable(t, s.Ping(t.Context()), ": dial tcp ")
		}
		server.Start(t)
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
