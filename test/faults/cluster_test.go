package faults

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

const epochKey = "gatehouse:{0}:epoch"

// TestR15ClusterFailover: the master that has the list dies, or hangs, and its
// replica takes its place.
func TestR15ClusterFailover(t *testing.T) {
	t.Parallel()
	nodes := storetest.StartCluster(t, 3, 1)
	w := newDirectWorld(t, storetest.MasterOf(t, nodes, epochKey), at(storetest.ClusterURL(nodes)))
	for range *rounds {
		w.clusterFailover(t, nodes, w.redis.Kill, func(r *storetest.Redis) { r.Start(t) })
		w.clusterFailover(t, nodes, func() { w.redis.Signal(t, syscall.SIGSTOP) }, func(r *storetest.Redis) { r.Signal(t, syscall.SIGCONT) })
	}
}

func (w *world) clusterFailover(t *testing.T, nodes []*storetest.Redis, end func(), again func(*storetest.Redis)) {
	t.Helper()
	acknowledged, old := w.revoke(t), w.redis
	end()
	began := time.Now()
	rest := slices.DeleteFunc(slices.Clone(nodes), func(n *storetest.Redis) bool { return n == old })
	rig.Eventually(t, "another master", func() bool { w.redis = master(rest); return w.redis != nil })
	t.Logf("the cluster has another master after %s", time.Since(began).Round(10*time.Millisecond))
	w.well(t)
	w.refusedByAll(t, acknowledged)
	again(old)
	storetest.WaitCluster(t, nodes)
	w.well(t)
	w.traffic.verdict(t)
}

// master is the one of the nodes that has the list, nil if none does now.
func master(nodes []*storetest.Redis) *storetest.Redis {
	for _, n := range nodes {
		_, err := n.Try("GET", epochKey)
		role, _ := n.Try("ROLE")
		if err == nil && strings.HasPrefix(role, "master") {
			return n
		}
	}
	return nil
}

// TestClusterFaults: there is nobody to take over.
func TestClusterFaults(t *testing.T) {
	t.Parallel()
	nodes := storetest.StartCluster(t, 3, 0)
	w := newDirectWorld(t, storetest.MasterOf(t, nodes, epochKey), at(storetest.ClusterURL(nodes)))
	others := slices.DeleteFunc(slices.Clone(nodes), func(n *storetest.Redis) bool { return n == w.redis })
	refusedMeanwhile := func(t *testing.T) {
		t.Helper()
		if code := w.tryRevoke(t, w.gateways[1], "refused"); code != 503 {
			t.Errorf("revoking meanwhile: %d", code)
		}
	}
	for round := range *rounds {
		t.Run(fmt.Sprint("R17 killed, restarted empty ", round+1), func(t *testing.T) {
			w.redis.Kill()
			refusedMeanwhile(t)
			time.Sleep(*hold)
			w.redis.Start(t)
			storetest.WaitCluster(t, nodes)
			w.well(t)
			w.traffic.verdict(t)
		})
		t.Run(fmt.Sprint("CLUSTERDOWN ", round+1), func(t *testing.T) {
			for _, n := range others {
				n.Signal(t, syscall.SIGSTOP)
			}
			rig.Eventually(t, "down", func() bool {
				_, err := w.redis.Try("GET", epochKey)
				return err != nil && strings.HasPrefix(err.Error(), "CLUSTERDOWN")
			})
			refusedMeanwhile(t)
			time.Sleep(*hold)
			for _, n := range others {
				n.Signal(t, syscall.SIGCONT)
			}
			storetest.WaitCluster(t, nodes)
			w.well(t)
			w.traffic.verdict(t)
		})
		t.Run(fmt.Sprint("slot moves ", round+1), func(t *testing.T) {
			to := others[round%len(others)]
			moveSlot(t, nodes, w.redis, to)
			others[round%len(others)], w.redis = w.redis, to
			w.well(t)
			w.traffic.verdict(t)
		})
	}
}

// moveSlot moves the slot of the list from one master to another, as redis-cli
// does.
func moveSlot(t *testing.T, nodes []*storetest.Redis, from, to *storetest.Redis) {
	t.Helper()
	slot := from.Do(t, "CLUSTER", "KEYSLOT", epochKey)
	source, destination := from.Do(t, "CLUSTER", "MYID"), to.Do(t, "CLUSTER", "MYID")
	to.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", source)
	from.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", destination)
	host, port, _ := net.SplitHostPort(to.Addr)
	for _, key := range strings.Split(from.Do(t, "CLUSTER", "GETKEYSINSLOT", slot, "100"), "\n") {
		time.Sleep(*hold / 10) // a large list takes its time
		from.Do(t, "MIGRATE", host, port, key, "0", "5000")
	}
	for _, n := range append([]*storetest.Redis{to, from}, nodes...) {
		n.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", destination)
	}
}
