// Package faults breaks the store under running gateways, in every way that it
// can break, and sees that no revoked token gets through, that no good one is
// called bad, and that all is well again soon after.
package faults

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

var (
	rounds = flag.Int("faults.rounds", 1, "how often each fault happens")
	hold   = flag.Duration("faults.hold", 700*time.Millisecond, "how long each fault lasts")
)

const (
	entriesKey = "gatehouse:{0}:revocations"

	recovery = 2 * time.Second // how soon all must be well
	slack    = time.Second     // what a busy machine may add
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

type world struct {
	redis    *storetest.Redis
	proxies  []*proxy
	gateways []*rig.Gateway
	traffic  *traffic
	client   *http.Client
	sessions int // revoked so far
}

func config(t *testing.T, store string) rig.Config {
	return rig.Config{YAML: fmt.Sprintf(`
server: {listen: "127.0.0.1:0", drain_delay: 0s}
admin: {listen: "127.0.0.1:0", token: %q}
store: {url: %q}
defaults: {upstream: %q, auth: bearer}
routes: [{name: all, match: /}]
issuers:
  - {name: main, issuer: https://a.example, audiences: [api], keys: [{kid: k, algorithm: HS256, secret: %q}]}
`, rig.AdminToken, store, rig.StartUpstream(t).URL, secret)}
}

// newWorld starts gateways on a Redis, each through a proxy of its own, and
// traffic to them with a token that is revoked.
func newWorld(t *testing.T, redis *storetest.Redis, n int) *world {
	w := &world{redis: redis, client: &http.Client{Timeout: rig.Patience}}
	for range n {
		p := startProxy(t, redis.Addr)
		w.proxies = append(w.proxies, p)
		w.gateways = append(w.gateways, rig.StartUnready(t, config(t, "redis://"+p.Addr+"/0")))
	}
	w.begin(t)
	return w
}

// begin waits until the gateways are ready, and begins the traffic.
func (w *world) begin(t *testing.T) {
	t.Helper()
	began := time.Now()
	for _, g := range w.gateways {
		g.WaitReady(t)
	}
	t.Logf("ready on an empty Redis after %s", time.Since(began).Round(10*time.Millisecond))
	revoked := w.revoke(t)
	w.traffic = startTraffic(t, w.gateways, token("good"), revoked)
}

func (w *world) each(f fault) {
	for _, p := range w.proxies {
		p.set(f)
	}
}

// revoke revokes a session at the first gateway, as often as it takes, waits
// until all refuse its token, and returns that.
func (w *world) revoke(t *testing.T) string {
	t.Helper()
	w.sessions++
	sid := fmt.Sprint("s", w.sessions)
	rig.Eventually(t, "revoked", func() bool {
		return w.gateways[0].AdminCall(t, "POST", "/v1/revocations", fmt.Sprintf(`{"kind":"sid","id":%q}`, sid)).Status == 201
	})
	revoked := token(sid)
	for i, g := range w.gateways {
		rig.Eventually(t, fmt.Sprint("refused by gateway ", i), func() bool { return status(w.client, g, revoked) == 401 })
	}
	return revoked
}

// whole reports whether every gateway holds a list that was whole at a time
// after that one.
func (w *world) whole(t *testing.T, since time.Time) bool {
	for _, g := range w.gateways {
		var s struct {
			Revocations struct {
				Age float64 `json:"age_seconds"`
			}
		}
		if err := json.Unmarshal([]byte(g.AdminCall(t, "GET", "/v1/status", "").Body), &s); err != nil || s.Revocations.Age >= time.Since(since).Seconds() {
			return false
		}
	}
	return true
}

// well waits until all is well, which must be soon.
func (w *world) well(t *testing.T) {
	t.Helper()
	began := time.Now()
	w.revoke(t)
	revoked := time.Since(began)
	rig.Eventually(t, "whole", func() bool { return w.whole(t, began) })
	took := time.Since(began)
	rig.Eventually(t, "written back", func() bool {
		n, err := strconv.Atoi(w.redis.Do(t, "HLEN", entriesKey))
		return err == nil && n >= w.sessions
	})
	written := time.Since(began)
	t.Logf("after recovery a revocation is in force everywhere after %s, every list is whole after %s, and the store after at most %s",
		revoked.Round(time.Millisecond), took.Round(time.Millisecond), written.Round(time.Millisecond))
	if took > recovery+slack {
		t.Errorf("all is well only %s after recovery", took)
	}
}

// faults are what can happen: how it begins, and how it ends.
var faults = []struct {
	name string
	on   func(*testing.T, *world)
	off  func(*testing.T, *world)
}{
	{"R17 FLUSHALL", func(t *testing.T, w *world) { w.redis.Do(t, "FLUSHALL") }, nil},
	{"R17 killed, restarted empty", func(_ *testing.T, w *world) { w.redis.Kill() }, func(t *testing.T, w *world) { w.redis.Start(t) }},
	{
		"stopped", func(t *testing.T, w *world) { w.redis.Signal(t, syscall.SIGSTOP) },
		func(t *testing.T, w *world) { w.redis.Signal(t, syscall.SIGCONT) },
	},
	{"blackhole", func(_ *testing.T, w *world) { w.each(fault{blackhole: true}) }, passing},
	{"partition of one", func(_ *testing.T, w *world) { w.proxies[1].set(fault{blackhole: true}) }, passing},
	{"slow by 500 ms", func(_ *testing.T, w *world) { w.each(fault{delay: 500 * time.Millisecond}) }, passing},
	{"resets", func(_ *testing.T, w *world) { w.each(fault{refuse: true}) }, passing},
	{"cut after 200 bytes", func(_ *testing.T, w *world) { w.each(fault{cut: 200}) }, passing},
	{"replies dropped", func(_ *testing.T, w *world) { w.each(fault{mute: true}) }, passing},
	{
		"READONLY", func(t *testing.T, w *world) { w.redis.Do(t, "REPLICAOF", "127.0.0.1", "1") },
		func(t *testing.T, w *world) { w.redis.Do(t, "REPLICAOF", "NO", "ONE") },
	},
	{
		"OOM", func(t *testing.T, w *world) { w.redis.Do(t, "CONFIG", "SET", "maxmemory", "1") },
		func(t *testing.T, w *world) { w.redis.Do(t, "CONFIG", "SET", "maxmemory", "0") },
	},
}

func passing(_ *testing.T, w *world) {
	w.each(fault{})
	for _, p := range w.proxies {
		p.reset() // what was swallowed would leave replies without a beginning
	}
}

func TestFaults(t *testing.T) {
	w := newWorld(t, storetest.StartRedis(t), 2)
	for round := range *rounds {
		for _, f := range faults {
			t.Run(fmt.Sprint(f.name, " ", round+1), func(t *testing.T) {
				f.on(t, w)
				if f.off != nil {
					time.Sleep(*hold) // the fault is what is waited for
					f.off(t, w)
				}
				w.well(t)
				w.traffic.verdict(t)
			})
		}
	}
}

// TestR17FreshReplica: a gateway that starts right after the store has lost
// all never lets a revoked token through.
func TestR17FreshReplica(t *testing.T) {
	w := newWorld(t, storetest.StartRedis(t), 2)
	revoked := w.revoke(t)
	cfg := config(t, w.redis.URL())
	w.redis.Do(t, "FLUSHALL")
	began := time.Now()
	g := rig.StartUnready(t, cfg)
	for ready := false; !ready; {
		ready = g.AdminCall(t, "GET", "/readyz", "").Status == 200
		if code := status(w.client, g, revoked); code != 401 && (ready || code != 503) {
			t.Fatalf("a revoked token is answered %d; ready: %v", code, ready)
		}
	}
	t.Logf("ready %s after the loss", time.Since(began).Round(10*time.Millisecond))
	w.traffic.verdict(t)
}

// TestR15Failover: what was acknowledged, and not replicated when the master
// died, is enforced by all and given to the new master.
func TestR15Failover(t *testing.T) {
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
	for i, g := range w.gateways {
		if code := status(w.client, g, lost); code != 401 {
			t.Errorf("gateway %d answers what was revoked before the failover %d", i, code)
		}
	}
	w.traffic.verdict(t)
}

// TestSentinelFailover: the master dies, and a sentinel makes its replica one.
func TestSentinelFailover(t *testing.T) {
	master := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	_, port, _ := net.SplitHostPort(master.Addr)
	replica := storetest.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	sentinel := storetest.StartSentinel(t, "sentinel monitor main 127.0.0.1 "+port+" 1",
		"sentinel down-after-milliseconds main 500", "sentinel failover-timeout main 2000")
	w := &world{redis: replica, client: &http.Client{Timeout: rig.Patience}}
	for range 2 {
		w.gateways = append(w.gateways, rig.StartUnready(t, config(t, "redis+sentinel://"+sentinel.Addr+"/0?master=main")))
	}
	w.begin(t)
	rig.Eventually(t, "known to the sentinel", func() bool {
		return strings.Contains(sentinel.Do(t, "INFO", "sentinel"), "slaves=1")
	})
	master.Kill()
	began := time.Now()
	_, port, _ = net.SplitHostPort(replica.Addr)
	rig.Eventually(t, "another master", func() bool {
		return strings.HasSuffix(sentinel.Do(t, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"), port)
	})
	t.Logf("the sentinel names another master after %s", time.Since(began).Round(10*time.Millisecond))
	w.well(t)
	w.traffic.verdict(t)
}

// TestLoading: a Redis that comes back with all its data, slowly.
func TestLoading(t *testing.T) {
	redis := storetest.StartRedis(t, "--key-load-delay", "40000", "--loading-process-events-interval-bytes", "1024")
	w := newWorld(t, redis, 2)
	for i := range 20 {
		redis.Do(t, "SET", fmt.Sprint("filler", i), strings.Repeat("x", 2000-i))
	}
	redis.Do(t, "CONFIG", "SET", "rdbcompression", "no")
	redis.Do(t, "SAVE")
	redis.Kill()
	redis.Start(t)
	rig.Eventually(t, "loaded", func() bool { return strings.Contains(redis.Do(t, "INFO", "persistence"), "\nloading:0") })
	w.well(t)
	w.traffic.verdict(t)
}

// TestPropagation prints how long a revocation takes from its acknowledgement
// by one gateway to the others' refusing.
func TestPropagation(t *testing.T) {
	w := newWorld(t, storetest.StartRedis(t), 3)
	w.traffic.end()
	var took []time.Duration
	for range 100 {
		w.sessions++
		sid := fmt.Sprint("s", w.sessions)
		revoked := token(sid)
		if a := w.gateways[0].AdminCall(t, "POST", "/v1/revocations", fmt.Sprintf(`{"kind":"sid","id":%q}`, sid)); a.Status != 201 {
			t.Fatalf("revoking: %d %s", a.Status, a.Body)
		}
		began := time.Now()
		for _, g := range w.gateways {
			for status(w.client, g, revoked) != 401 {
				if time.Since(began) > rig.Patience {
					t.Fatal("not refused")
				}
			}
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	t.Logf("in force after: p50 %s, p99 %s, at most %s", took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}
