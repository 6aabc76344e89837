package sim_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
	"gatehouse/store/storetest"
	"gatehouse/test/sim"
)

// measurement is what operations cost on a Redis here, and what some followers
// of it saw.
type measurement struct {
	costs          sim.Costs
	perSecond      float64 // writes
	rounds         float64 // of all followers, a second
	busy           float64 // share of a core that Redis used
	sent           float64 // bytes a second
	p50, p99, most time.Duration
}

// usage is what a Redis has used and done so far.
type usage struct {
	cpu         time.Duration
	sent, reads float64
	log, list   float64       // bytes of memory
	entries     float64       // in the log
	own         time.Duration // CPU of this process
}

func usageOf(t *testing.T, server *storetest.Redis) usage {
	info := server.Do(t, "INFO", "everything")
	number := func(pattern string) float64 {
		found := regexp.MustCompile(pattern).FindStringSubmatch(info)
		if found == nil {
			return 0
		}
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	memory := func(key string) float64 {
		n, _ := strconv.ParseFloat(server.Do(t, "MEMORY", "USAGE", key, "SAMPLES", "0"), 64)
		return n
	}
	entries, _ := strconv.ParseFloat(server.Do(t, "XLEN", "gatehouse:{0}:stream"), 64)
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		t.Fatal(err)
	}
	cpu := number(`used_cpu_sys:([\d.]+)`) + number(`used_cpu_user:([\d.]+)`)
	return usage{
		cpu: time.Duration(cpu * 1e9), sent: number(`total_net_output_bytes:(\d+)`), reads: number(`cmdstat_xread:calls=(\d+)`),
		log: memory("gatehouse:{0}:stream"), list: memory("gatehouse:{0}:revocations") + memory("gatehouse:{0}:expiry"),
		entries: entries, own: time.Duration(own.Utime.Nano() + own.Stime.Nano()),
	}
}

func openStore(t *testing.T, server *storetest.Redis) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: server.URL(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// measure has a Redis written to without and with followers, and one follower
// read all of it at once: so each cost can be told from the others.
func measure(t *testing.T, followers, perSecond int, length time.Duration) measurement {
	server := storetest.StartRedis(t)
	s := openStore(t, server)
	from := storetest.Position(t, s)
	var m measurement

	const alone = 10_000
	before := usageOf(t, server)
	write(t, s, "alone", alone, 0)
	after := usageOf(t, server)
	m.costs.Write = (after.cpu - before.cpu) / alone
	m.costs.LogBytes, m.costs.ListBytes = after.log/after.entries, after.list/after.entries

	mirror := revocation.NewMirror(revocation.MirrorConfig{})
	before = usageOf(t, server)
	follow(t, s.Sources()[0], from, alone, func(e revocation.Event) { mirror.Put(e.Revocation, time.Now()) })
	after = usageOf(t, server)
	m.costs.Entry, m.costs.Apply = (after.cpu-before.cpu)/alone, (after.own-before.own)/alone
	m.costs.EntryBytes = (after.sent - before.sent) / alone

	n := int(length.Seconds() * float64(perSecond))
	heard := make([][]time.Time, followers)
	from = storetest.Position(t, s)
	before = usageOf(t, server)
	began := time.Now()
	var running sync.WaitGroup
	for i := range followers {
		heard[i] = make([]time.Time, n)
		source := openStore(t, server).Sources()[0] // a replica has connections of its own
		running.Go(func() {
			follow(t, source, from, n, func(e revocation.Event) {
				_, id, _ := strings.Cut(e.Revocation.ID, "/")
				k, _ := strconv.Atoi(id)
				heard[i][k] = time.Now()
			})
		})
	}
	acknowledged := write(t, s, "followed", n, perSecond)
	took := time.Since(began)
	running.Wait()
	after = usageOf(t, server)
	delivered := time.Duration(n * followers)
	rounds := time.Duration(after.reads - before.reads)
	m.costs.Round = max(0, after.cpu-before.cpu-time.Duration(n)*m.costs.Write-delivered*m.costs.Entry) / rounds
	m.costs.ReplicaRound = max(0, after.own-before.own-delivered*m.costs.Apply) / rounds // with the writers' part
	m.costs.RoundBytes = max(0, after.sent-before.sent-float64(delivered)*m.costs.EntryBytes) / float64(rounds)
	m.costs.NetworkBytes, m.costs.Copy = sim.Measured.NetworkBytes, copying(t)
	m.perSecond, m.rounds = float64(n)/took.Seconds(), float64(rounds)/took.Seconds()
	m.busy, m.sent = (after.cpu-before.cpu).Seconds()/took.Seconds(), (after.sent-before.sent)/took.Seconds()
	m.spread(heard, acknowledged)
	return m
}

// copying is what a write costs a Redis that copies another.
func copying(t *testing.T) time.Duration {
	const n = 5000
	master := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	s := openStore(t, master)
	copied := storetest.StartRedis(t, "--replicaof", strings.Replace(master.Addr, ":", " ", 1))
	storetest.Until(t, "it copies", func() bool { return strings.Contains(master.Do(t, "INFO", "replication"), "state=online") })
	before := usageOf(t, copied)
	write(t, s, "copied", n, 0)
	storetest.Until(t, "it has copied all", func() bool { return copied.Do(t, "HLEN", "gatehouse:{0}:revocations") == strconv.Itoa(n) })
	return (usageOf(t, copied).cpu - before.cpu) / n
}

// spread is from when the writer was told until the entry was heard; often it is
// heard before.
func (m *measurement) spread(heard [][]time.Time, acknowledged []time.Time) {
	var delays []time.Duration
	for _, each := range heard {
		for k, at := range each {
			delays = append(delays, max(0, at.Sub(acknowledged[k])))
		}
	}
	slices.Sort(delays)
	m.p50, m.p99, m.most = delays[len(delays)/2], delays[len(delays)*99/100], delays[len(delays)-1]
}

// write writes n entries from four sides, so many a second if that is above 0,
// and returns when each was acknowledged.
func write(t *testing.T, s *store.Store, name string, n, perSecond int) []time.Time {
	acknowledged := make([]time.Time, n)
	const sides = 4
	var running sync.WaitGroup
	began := time.Now()
	for side := range sides {
		running.Go(func() {
			for k := side; k < n; k += sides {
				if perSecond > 0 {
					time.Sleep(time.Until(began.Add(time.Duration(k) * time.Second / time.Duration(perSecond))))
				}
				r := auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: fmt.Sprintf("6f1c0f4e-%s/%d", name, k), Until: time.Now().Add(time.Hour)}
				if err := s.Revoke(t.Context(), r); err != nil {
					t.Error(err)
				}
				acknowledged[k] = time.Now()
			}
		})
	}
	running.Wait()
	return acknowledged
}

// follow follows until n entries have come.
func follow(t *testing.T, source revocation.Source, from revocation.Position, n int, heard func(revocation.Event)) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	enough := errors.New("enough")
	err := source.Follow(ctx, from, func(e revocation.Event) error {
		if e.Op != revocation.Revoked {
			return nil
		}
		heard(e)
		if n--; n == 0 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}

// TestReality holds the model to a Redis: with what operations cost here, it
// says of the same followers what these have seen, as to the order. A machine
// that is busy with something else meanwhile is asked again.
func TestReality(t *testing.T) {
	var wrong []string
	for range 3 {
		if wrong = compare(t); wrong == nil {
			return
		}
	}
	t.Errorf("the model is wrong about %s", strings.Join(wrong, ", "))
}

func compare(t *testing.T) (wrong []string) {
	const followers = 8
	m := measure(t, followers, 500, time.Second)
	t.Logf("what things cost here: %+v", m.costs)
	r, err := sim.Run(sim.Config{
		Replicas: followers, Shards: 1, Masters: 1, WritesPerSecond: m.perSecond, Length: time.Second, Seed: 1,
		Costs: m.costs, Delay: sim.Loopback,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what        string
		here, model float64
		same        float64 // a difference that means nothing
	}{
		{"rounds a second", m.rounds, float64(r.Rounds) / r.Length.Seconds(), 0},
		{"Redis, share of a core", m.busy, r.CPU[0], 0.02},
		{"bytes a second", m.sent, r.Sent, 0},
		{"p50 in ms", 1000 * m.p50.Seconds(), 1000 * r.P50.Seconds(), 2},
	} {
		t.Logf("%-23s %10.4g here %10.4g in the model", c.what, c.here, c.model)
		low, high := min(c.here, c.model), max(c.here, c.model)
		if high > 3*low && high-low > c.same {
			wrong = append(wrong, c.what)
		}
	}
	t.Logf("p99 %s here, %s in the model; max %s and %s", m.p99, r.P99, m.most, r.Max)
	return wrong
}
