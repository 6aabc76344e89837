package store_test

import (
	"net"
	"strings"
	"testing"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// TestCluster runs the contract on a cluster of one node: scripts that used
// keys of several slots would be refused.
func TestCluster(t *testing.T) {
	server := storetest.StartRedis(t, "--cluster-enabled", "yes")
	server.Do(t, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	storetest.Until(t, "the cluster is up", func() bool {
		return strings.Contains(server.Do(t, "CLUSTER", "INFO"), "cluster_state:ok")
	})
	url := "redis+cluster://" + server.Addr
	storetest.Run(t, func(t *testing.T) *store.Store {
		server.Do(t, "FLUSHALL")
		return open(t, store.Config{URL: url})
	})
	s := open(t, store.Config{URL: url, WaitReplicas: 1})
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("s")), "0 of 1 replicas")
	session := storetest.Login("alice")
	wantUnavailable(t, s.PutSession(t.Context(), session, storetest.RefreshToken(session.ID, 0)), "0 of 1 replicas")
}

// TestSentinel finds the master through a sentinel.
func TestSentinel(t *testing.T) {
	master := storetest.StartRedis(t)
	_, port, _ := net.SplitHostPort(master.Addr)
	sentinel := storetest.StartSentinel(t, "sentinel monitor main 127.0.0.1 "+port+" 1")
	s := open(t, store.Config{URL: "redis+sentinel://" + sentinel.Addr + "/0?master=main"})
	revoke(t, s, "s")
	if n := master.Do(t, "HLEN", entriesKey); n != "1" {
		t.Errorf("the master has %s entries", n)
	}
	if got := storetest.Revocations(t, s); len(got) != 1 {
		t.Errorf("the list: %v", got)
	}
}
