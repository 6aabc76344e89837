package faults

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// pair is a master and its replica, with a link that can be broken.
type pair struct {
	master, replica *storetest.Redis
	link            *proxy
}

func startPair(t *testing.T) pair {
	t.Helper()
	master := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	p := pair{master: master, link: startProxy(t, master.Addr)}
	_, port, _ := net.SplitHostPort(p.link.Addr)
	p.replica = storetest.StartRedis(t, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+port)
	rig.Eventually(t, "linked", func() bool { return strings.Contains(p.replica.Do(t, "INFO", "replication"), "master_link_status:up") })
	return p
}

// caughtUp waits until the replica has all.
func (p pair) caughtUp(t *testing.T) {
	t.Helper()
	rig.Eventually(t, "replicated", func() bool {
		size := p.master.Do(t, "DBSIZE")
		return strings.Contains(p.master.Do(t, "WAIT", "1", "100"), "1") && p.replica.Do(t, "DBSIZE") == size
	})
}

// failOver kills the master, and the replica takes its place.
func (p pair) failOver(t *testing.T, w *world) {
	t.Helper()
	p.master.Kill()
	p.replica.Do(t, "REPLICAOF", "NO", "ONE")
	for _, each := range w.proxies {
		each.turn(p.replica.Addr)
	}
	w.redis = p.replica
}

// TestR02ReplayAfterFailover: the new master knows what was used.
func TestR02ReplayAfterFailover(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	w := newTokenWorld(t, p.master, "timeout: 200ms", "GRACE=1s")
	first := w.login(t)
	second := w.refreshed(t, first.Refresh)
	p.caughtUp(t)
	p.failOver(t, w)
	if got := w.refreshed(t, first.Refresh); got.status != 200 || got.Refresh != second.Refresh {
		t.Errorf("within the grace it is answered %d, another successor: %v", got.status, got.Refresh != second.Refresh)
	}
	third := w.refreshed(t, second.Refresh)
	rig.Eventually(t, "a replay", func() bool { return w.refreshed(t, first.Refresh).status == 400 })
	if got := w.refreshed(t, third.Refresh); got.status != 400 {
		t.Errorf("after the replay the session is answered %d", got.status)
	}
}

// TestR15RefreshLost: a failover that lost the last refresh takes the token that
// it gave for a replay. The session ends, and the user can log in again.
func TestR15RefreshLost(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	w := newTokenWorld(t, p.master, "timeout: 200ms", "GRACE=60s")
	first := w.login(t)
	p.caughtUp(t)
	p.link.set(fault{blackhole: true})
	second := w.refreshed(t, first.Refresh)
	p.failOver(t, w)
	if got := w.refreshed(t, second.Refresh); got.status != 400 || got.Error != "invalid_grant" {
		t.Errorf("the token that was lost is answered %d %s", got.status, got.Error)
	}
	if got := w.refreshed(t, first.Refresh); got.status != 400 {
		t.Errorf("the token that it followed is answered %d: the session goes on", got.status)
	}
	rig.Eventually(t, "ended", func() bool { return call(w.client, w.gateways[1], "/api/", second.Access) == 401 })
	if got := w.refreshed(t, w.login(t).Refresh); got.status != 200 {
		t.Errorf("after another login: %d", got.status)
	}
}

// TestR15RefreshWaits: with wait_replicas a refresh that could be lost is not
// answered with a token, and can be repeated after the failover.
func TestR15RefreshWaits(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	w := newTokenWorld(t, p.master, "timeout: 200ms, wait_replicas: 1, wait_timeout: 100ms", "GRACE=60s")
	first := w.login(t)
	p.link.set(fault{blackhole: true})
	for i := range w.gateways {
		if got := w.refresh(t, i, first.Refresh); got.status != 503 {
			t.Errorf("a refresh that no replica has is answered %d", got.status)
		}
	}
	p.failOver(t, w)
	host, port, _ := net.SplitHostPort(p.replica.Addr)
	storetest.StartRedis(t, "--repl-diskless-sync-delay", "0", "--replicaof", host+" "+port)
	second := w.refreshed(t, first.Refresh)
	if second.status != 200 {
		t.Fatalf("after the failover: %d", second.status)
	}
	if again := w.refresh(t, 1, first.Refresh); again.Refresh != second.Refresh {
		t.Error("there are two successors")
	}
	if third := w.refreshed(t, second.Refresh); third.status != 200 {
		t.Errorf("the successor is answered %d", third.status)
	}
}

// TestR11RevocationWaits: 201 only when the replica has it, and safely repeated
// until then.
func TestR11RevocationWaits(t *testing.T) {
	t.Parallel()
	p := startPair(t)
	w := newDirectWorld(t, p.master, at(p.master.URL())+", wait_replicas: 1, wait_timeout: 100ms")
	p.replica.Signal(t, syscall.SIGSTOP)
	for range 3 {
		if code := w.tryRevoke(t, w.gateways[0], "waits"); code != 503 {
			t.Errorf("without the replica: %d", code)
		}
	}
	p.replica.Signal(t, syscall.SIGCONT)
	rig.Eventually(t, "acknowledged", func() bool { return w.tryRevoke(t, w.gateways[0], "waits") == 201 })
	if n := p.replica.Do(t, "HLEN", entriesKey); n != "2" { // with the one of the traffic
		t.Errorf("the replica has %s entries", n)
	}
	w.refusedByAll(t, token("waits"))
	w.well(t)
	w.traffic.verdict(t)
}
