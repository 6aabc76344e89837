package storetest

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

// clusterSlots is how many hash slots a cluster shares out.
const clusterSlots = 16384

// StartCluster starts a cluster of that many masters, which share the slots
// evenly and in order, and as many replicas of each. Masters come first, then
// the first replica of each, and so on; see [Redis.Do] for what else a cluster
// can be told. It ends with the test. args are added to each command line.
func StartCluster(t testing.TB, masters, replicas int, args ...string) []*Redis {
	t.Helper()
	// A node takes another for dead after half a second, and a replica begins to
	// take over at once.
	args = append([]string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", "500", "--repl-diskless-sync-delay", "0",
		"--cluster-require-full-coverage", "no",
	}, args...)
	var nodes []*Redis
	for range masters * (1 + replicas) {
		nodes = append(nodes, StartRedis(t, args...))
	}
	for i, n := range nodes[:masters] {
		from, to := i*clusterSlots/masters, (i+1)*clusterSlots/masters-1
		n.Do(t, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
		n.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	host, port, _ := net.SplitHostPort(nodes[0].Addr)
	for _, n := range nodes[1:] {
		n.Do(t, "CLUSTER", "MEET", host, port)
	}
	for i, n := range nodes[masters:] {
		master := nodes[i%masters].Do(t, "CLUSTER", "MYID")
		Until(t, "the nodes have met", func() bool { return strings.Contains(n.Do(t, "CLUSTER", "NODES"), master) })
		n.Do(t, "CLUSTER", "REPLICATE", master)
	}
	WaitCluster(t, nodes)
	return nodes
}

// WaitCluster waits until every node knows all of the cluster and finds it
// whole.
func WaitCluster(t testing.TB, nodes []*Redis) {
	t.Helper()
	for _, n := range nodes {
		Until(t, "the cluster is up", func() bool {
			info := n.Do(t, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(nodes))+"\r") &&
				!strings.Contains(n.Do(t, "INFO", "replication"), "master_link_status:down")
		})
	}
}

// ClusterURL is the store.url of a cluster with these nodes.
func ClusterURL(nodes []*Redis) string {
	var addresses []string
	for _, n := range nodes {
		addresses = append(addresses, n.Addr)
	}
	return "redis+cluster://" + strings.Join(addresses, ",")
}

// MasterOf returns the node that has the slot of a key.
func MasterOf(t testing.TB, nodes []*Redis, key string) *Redis {
	t.Helper()
	for _, n := range nodes {
		if _, err := n.do("EXISTS", key); err == nil && strings.Contains(n.Do(t, "INFO", "replication"), "role:master") {
			return n
		}
	}
	t.Fatalf("no node has the slot of %s", key)
	return nil
}

// MoveSlot moves the slot of a key from the node that has it to another, with
// what is in it.
func MoveSlot(t testing.TB, nodes []*Redis, key string, to *Redis) {
	t.Helper()
	from := MasterOf(t, nodes, key)
	slot := to.Do(t, "CLUSTER", "KEYSLOT", key)
	fromID, toID := from.Do(t, "CLUSTER", "MYID"), to.Do(t, "CLUSTER", "MYID")
	to.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	host, port, _ := net.SplitHostPort(to.Addr)
	keys := strings.Split(from.Do(t, "CLUSTER", "GETKEYSINSLOT", slot, "1000"), "\n")
	from.Do(t, append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...)
	to.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", toID)
	from.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", toID)
}
