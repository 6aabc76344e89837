package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// breakage is something that can happen to a Redis.
type breakage struct {
	name  string
	bites bool // nothing can be written meanwhile
	loses bool // what was in the store is gone, even from its disk
	on    func(*testing.T, *world)
	off   func(*testing.T, *world) // nil: it is over at once
}

var breakages = []breakage{
	{name: "R17 FLUSHALL", loses: true, on: func(t *testing.T, w *world) { w.redis.Do(t, "FLUSHALL") }},
	{
		name: "R17 killed, restarted", bites: true,
		on:  func(_ *testing.T, w *world) { w.redis.Kill() },
		off: func(t *testing.T, w *world) { w.redis.Start(t) },
	},
	{
		name: "stopped", bites: true,
		on:  func(t *testing.T, w *world) { w.redis.Signal(t, syscall.SIGSTOP) },
		off: func(t *testing.T, w *world) { w.redis.Signal(t, syscall.SIGCONT) },
	},
	{name: "blackhole", bites: true, on: func(_ *testing.T, w *world) { w.each(fault{blackhole: true}) }, off: passing},
	{name: "partition of one", bites: true, on: func(_ *testing.T, w *world) { w.proxies[1].set(fault{blackhole: true}) }, off: passing},
	{name: "slow by 40 ms", on: func(_ *testing.T, w *world) { w.each(fault{delay: 40 * time.Millisecond}) }, off: passing},
	{name: "slow by 500 ms", bites: true, on: func(_ *testing.T, w *world) { w.each(fault{delay: 500 * time.Millisecond}) }, off: passing},
	{name: "resets", bites: true, on: func(_ *testing.T, w *world) { w.each(fault{refuse: true}) }, off: passing},
	{name: "cut after 200 bytes", on: func(_ *testing.T, w *world) { w.each(fault{cut: 200}) }, off: passing},
	{name: "replies dropped", bites: true, on: func(_ *testing.T, w *world) { w.each(fault{mute: true}) }, off: passing},
	{
		name: "READONLY", bites: true,
		on:  func(t *testing.T, w *world) { w.redis.Do(t, "REPLICAOF", "127.0.0.1", "1") },
		off: func(t *testing.T, w *world) { w.redis.Do(t, "REPLICAOF", "NO", "ONE") },
	},
	{
		name: "OOM", bites: true,
		on:  func(t *testing.T, w *world) { w.redis.Do(t, "CONFIG", "SET", "maxmemory", "1") },
		off: func(t *testing.T, w *world) { w.redis.Do(t, "CONFIG", "SET", "maxmemory", "0") },
	},
	{name: "MISCONF", bites: true, on: breakDisk, off: mendDisk},
	{
		name: "NOAUTH", bites: true,
		on: func(t *testing.T, w *world) {
			w.redis.Do(t, "CONFIG", "SET", "requirepass", "x")
			w.redis.Login("x")
			w.redis.Do(t, "CLIENT", "KILL", "TYPE", "normal") // who is logged in stays so
		},
		off: func(t *testing.T, w *world) {
			w.redis.Do(t, "CONFIG", "SET", "requirepass", "")
			w.redis.Login()
		},
	},
	{
		name: "user switched off", bites: true,
		on: func(t *testing.T, w *world) {
			w.redis.Do(t, "ACL", "SETUSER", "control", "on", ">x", "+@all")
			w.redis.Login("control", "x")
			w.redis.Do(t, "ACL", "SETUSER", "default", "off")
			w.redis.Do(t, "CLIENT", "KILL", "USER", "default")
		},
		off: func(t *testing.T, w *world) {
			w.redis.Do(t, "ACL", "SETUSER", "default", "on")
			w.redis.Login()
		},
	},
	{
		name: "NOPERM", bites: true,
		on:  func(t *testing.T, w *world) { w.redis.Do(t, "ACL", "SETUSER", "default", "-@stream", "-@scripting") },
		off: func(t *testing.T, w *world) { w.redis.Do(t, "ACL", "SETUSER", "default", "+@all") },
	},
}

func passing(_ *testing.T, w *world) {
	w.each(fault{})
	for _, p := range w.proxies {
		p.reset() // what was swallowed would leave replies without a beginning
	}
}

// breakDisk has the server save its data, which fails: something that cannot be
// replaced has the name of the file.
func breakDisk(t *testing.T, w *world) {
	if err := os.MkdirAll(filepath.Join(dump(t, w), "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.redis.Do(t, "CONFIG", "SET", "save", "3600 1")
	saved(t, w, "err")
}

func mendDisk(t *testing.T, w *world) {
	if err := os.RemoveAll(dump(t, w)); err != nil {
		t.Fatal(err)
	}
	saved(t, w, "ok")
	w.redis.Do(t, "CONFIG", "SET", "save", "")
	if err := os.Remove(dump(t, w)); err != nil { // nothing is to be there after a restart
		t.Fatal(err)
	}
}

func dump(t *testing.T, w *world) string {
	_, folder, _ := strings.Cut(w.redis.Do(t, "CONFIG", "GET", "dir"), "\n")
	return filepath.Join(folder, "dump.rdb")
}

func saved(t *testing.T, w *world, how string) {
	w.redis.Do(t, "BGSAVE")
	rig.Eventually(t, "saved: "+how, func() bool {
		info := w.redis.Do(t, "INFO", "persistence")
		return strings.Contains(info, "rdb_bgsave_in_progress:0") && strings.Contains(info, "rdb_last_bgsave_status:"+how)
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.StartRedis(t), 2)
	w.traffic.strict = *hold < time.Second // the list never gets so old
	for round := range *rounds {
		for _, f := range breakages {
			t.Run(fmt.Sprint(f.name, " ", round+1), func(t *testing.T) {
				f.on(t, w)
				if f.bites {
					if code := w.tryRevoke(t, w.gateways[1], "refused"); code != 503 {
						t.Errorf("revoking meanwhile: %d", code)
					}
				}
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
	t.Parallel()
	w := newWorld(t, storetest.StartRedis(t), 2)
	revoked := w.revoke(t)
	cfg := config(t, at(w.redis.URL()))
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

// TestLoading: a Redis that comes back with all its data, slowly.
func TestLoading(t *testing.T) {
	t.Parallel()
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
