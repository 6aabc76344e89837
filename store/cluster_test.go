package store_test

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/store"
	"gatehouse/store/storetest"
)

// TestRedisShards runs the contract on a list in four shards at one server.
func TestRedisShards(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := storetest.StartRedis(t)
	storetest.Run(t, func(t *testing.T) *store.Store {
		server.Do(t, "FLUSHALL")
		return open(t, store.Config{URL: server.URL(), Shards: 4})
	})
	for _, key := range strings.Split(server.Do(t, "KEYS", "gatehouse:{?}:*"), "\n") {
		if strings.HasSuffix(key, "}:epoch") {
			if epoch := server.Do(t, "GET", key); !strings.HasSuffix(epoch, "/4") {
				t.Errorf("%s is %s", key, epoch)
			}
		}
	}
}

// TestClusterShards runs the contract on a list that three masters share.
func TestClusterShards(t *testing.T) {
	t.Parallel() // it waits more than it works
	nodes := storetest.StartCluster(t, 3, 0)
	url := storetest.ClusterURL(nodes)
	storetest.Run(t, func(t *testing.T) *store.Store {
		for _, n := range nodes {
			n.Do(t, "FLUSHALL")
		}
		return open(t, store.Config{URL: url, Shards: 8})
	})
	s := open(t, store.Config{URL: url, Shards: 8})
	for i := range 64 {
		revoke(t, s, strconv.Itoa(i))
	}
	for i, n := range nodes {
		if !strings.Contains(n.Do(t, "KEYS", "*"), "}:revocations") {
			t.Errorf("node %d has no part of the list", i)
		}
	}
}

// TestR15Moved: a shard that another server has from now on is read anew, also
// where a connection to that one was there before. What a replica knows and the
// server lacks it gets.
func TestR15Moved(t *testing.T) {
	t.Parallel() // it waits more than it works
	nodes := storetest.StartCluster(t, 3, 0)
	s := open(t, store.Config{URL: storetest.ClusterURL(nodes)})
	m, stop := storetest.Feed(t, s, slog.New(slog.DiscardHandler))
	defer stop()
	revoke(t, s, "0")
	storetest.Until(t, "whole", func() bool { return m.Complete() && has(m, 1) == 1 })
	for i := range 20 { // connections to every node
		login := storetest.Login(strconv.Itoa(i))
		if err := s.PutSession(t.Context(), login, storetest.RefreshToken(login.ID, 0)); err != nil {
			t.Fatal(err)
		}
	}
	m.Put(storetest.Session("lost"), time.Now()) // acknowledged by a server that is no more
	from := storetest.MasterOf(t, nodes, entriesKey)
	to := nodes[0]
	if to == from {
		to = nodes[1]
	}
	// A follower that waits is told that the shard has moved; one that is busy is
	// only sent on to the other server.
	other := open(t, store.Config{URL: storetest.ClusterURL(nodes)})
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	for range 4 {
		writing.Go(func() {
			for ctx.Err() == nil {
				_ = other.Revoke(ctx, storetest.Session("0"))
			}
		})
	}
	storetest.MoveSlot(t, nodes, entriesKey, to)
	storetest.Until(t, "the other server has it", func() bool { return to.Do(t, "HLEN", entriesKey) == "2" })
	cancel()
	writing.Wait()
}
