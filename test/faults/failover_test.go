package faults

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// TestR15Failover: what was acknowledged, and not replicated when the master
// died, is enforced by all and given to the new master.
func TestR15Failover(t *testing.T) {
	t.Parallel()
	master := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	link := startProxy(t, master.Addr)
	_, port, _ := net.SplitHostPort(link.Addr)
	replica := storetest.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	w := newWorld(t, master, 2)
	rig.Eventually(t, "replicated", func() bool { return replica.Do(t, "HLEN", entriesKey) == "1" })
	link.set(fault{blackhole: true})
	lost := w.revoke(t)
	if n := replica.Do(t, "HLEN", entriesKey); n != "1" {
		t.Fatalf("the replica has %s entries: nothing will be lost", n)
	}
	master.Kill()
	replica.Do(t, "REPLICAOF", "NO", "ONE")
	for _, p := range w.proxies {
		p.turn(replica.Addr)
	}
	w.redis = replica
	w.well(t)
	w.refusedByAll(t, lost)
	w.traffic.verdict(t)
}

// TestR15SentinelFailover: again and again the master dies with writes that its
// replica lacks, and a sentinel makes that the master. Some worlds at a time,
// because a failover is mostly waiting.
func TestR15SentinelFailover(t *testing.T) {
	t.Parallel()
	for i := range 5 {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			s := newSentinelWorld(t)
			for range 2 * *rounds {
				s.failover(t)
			}
		})
	}
}

type sentinelWorld struct {
	*world
	sentinel, replica *storetest.Redis // the master is the world's
}

func newSentinelWorld(t *testing.T) *sentinelWorld {
	master := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	host, port, _ := net.SplitHostPort(master.Addr)
	s := &sentinelWorld{
		replica: storetest.StartRedis(t, "--repl-diskless-sync-delay", "0", "--replicaof", host+" "+port),
		sentinel: storetest.StartSentinel(t, "sentinel monitor main "+host+" "+port+" 1",
			"sentinel down-after-milliseconds main 500", "sentinel failover-timeout main 1000"),
	}
	s.world = newDirectWorld(t, master, at("redis+sentinel://"+s.sentinel.Addr+"/0?master=main"))
	return s
}

// failover has the master die and its replica take its place, without a
// revocation that was acknowledged; then the dead one comes back as the replica.
func (s *sentinelWorld) failover(t *testing.T) {
	t.Helper()
	rig.Eventually(t, "replicated", func() bool {
		return s.replica.Do(t, "HLEN", entriesKey) == fmt.Sprint(s.sessions) && strings.Contains(s.sentinel.Do(t, "INFO", "sentinel"), "slaves=1")
	})
	// The replica cannot log in, and so is cut off.
	s.replica.Do(t, "CONFIG", "SET", "masteruser", "nobody", "masterauth", "x")
	s.redis.Do(t, "CLIENT", "KILL", "TYPE", "replica")
	lost := s.revoke(t)
	if n := s.replica.Do(t, "HLEN", entriesKey); n != fmt.Sprint(s.sessions-1) {
		t.Fatalf("the replica has %s of %d entries: nothing will be lost", n, s.sessions)
	}
	s.redis.Kill()
	began := time.Now()
	_, port, _ := net.SplitHostPort(s.replica.Addr)
	rig.Eventually(t, "another master", func() bool {
		return strings.HasSuffix(s.sentinel.Do(t, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"), port)
	})
	t.Logf("the sentinel names another master after %s", time.Since(began).Round(10*time.Millisecond))
	s.redis, s.replica = s.replica, s.redis
	s.well(t)
	s.refusedByAll(t, lost)
	s.traffic.verdict(t)

	s.redis.Do(t, "CONFIG", "SET", "masteruser", "", "masterauth", "")
	s.replica.Start(t)
	s.replica.Do(t, "REPLICAOF", "127.0.0.1", port)
}
