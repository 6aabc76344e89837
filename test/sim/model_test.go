package sim_test

import (
	"flag"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/test/sim"
)

var long = flag.Bool("sim.long", false, "also run what takes some minutes")

func run(t *testing.T, cfg sim.Config) sim.Result {
	t.Helper()
	if cfg.Costs == (sim.Costs{}) {
		cfg.Costs = sim.Measured
	}
	if cfg.Delay == (sim.Delay{}) {
		cfg.Delay = sim.Zone
	}
	r, err := sim.Run(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// packed are what things might cost if a line of the log held 20 entries in
// their shortest form, where it holds one now.
func packed() sim.Costs {
	c := sim.Measured
	c.Entry, c.Apply, c.EntryBytes, c.LogBytes = c.Entry/20, c.Apply/4, 30, 30
	return c
}

// designs are what the model is asked about, and whether they carry it.
var designs = []struct {
	name   string
	long   bool // it takes some seconds
	cfg    sim.Config
	breaks bool
}{
	{"3, 1 master", false, sim.Config{Replicas: 3, Shards: 1, Masters: 1, WritesPerSecond: 100}, false},
	{"100, 1 master", false, sim.Config{Replicas: 100, Shards: 1, Masters: 1, WritesPerSecond: 1000}, false},
	{"100, 1 master", false, sim.Config{Replicas: 100, Shards: 1, Masters: 1, WritesPerSecond: 10_000}, false},
	{"100, 4 shards on 4 masters", false, sim.Config{Replicas: 100, Shards: 4, Masters: 4, WritesPerSecond: 10_000}, false},
	{"100, 1 master", false, sim.Config{Replicas: 100, Shards: 1, Masters: 1, WritesPerSecond: 20_000}, true},
	{"1,000, 1 master", false, sim.Config{Replicas: 1000, Shards: 1, Masters: 1, WritesPerSecond: 1000}, false},
	{"1,000, 4 shards on 4 masters", false, sim.Config{Replicas: 1000, Shards: 4, Masters: 4, WritesPerSecond: 10_000}, true},
	{"1,000, 16 shards on 16 masters", true, sim.Config{Replicas: 1000, Shards: 16, Masters: 16, WritesPerSecond: 10_000}, false},
	{"1,000, 32 shards on 32 masters", true, sim.Config{Replicas: 1000, Shards: 32, Masters: 32, WritesPerSecond: 100_000}, true},
	{"1,000, 64 shards on 64 masters", true, sim.Config{Replicas: 1000, Shards: 64, Masters: 64, WritesPerSecond: 100_000}, false},
	{"1,000, 16 shards on 16 masters, read from 5 copies of each", true, sim.Config{Replicas: 1000, Shards: 16, Masters: 16, Relays: 5, WritesPerSecond: 100_000}, false},
	{"1,000, 16 shards on 16 masters, 20 entries in a line", true, sim.Config{Replicas: 1000, Shards: 16, Masters: 16, WritesPerSecond: 100_000, Costs: packed()}, false},
}

// TestHowFar prints the table in docs/revocation.md.
func TestHowFar(t *testing.T) {
	for _, d := range designs {
		if d.long && !*long {
			continue
		}
		d.cfg.Length, d.cfg.Seed = time.Second, 1
		r := run(t, d.cfg)
		t.Logf("| %s | %.0f | %v |", d.name, d.cfg.WritesPerSecond, r)
		if r.Behind != d.breaks {
			t.Errorf("%s, %.0f a second: breaks: %v, want %v", d.name, d.cfg.WritesPerSecond, r.Behind, d.breaks)
		}
	}
}

// TestRepeatable: a seed stands for one run.
func TestRepeatable(t *testing.T) {
	cfg := sim.Config{Replicas: 20, Shards: 4, Masters: 2, Relays: 1, WritesPerSecond: 1000, Length: time.Second, Seed: 7}
	first := run(t, cfg)
	if again := run(t, cfg); !reflect.DeepEqual(first, again) {
		t.Errorf("%v and then %v", first, again)
	}
	cfg.Seed++
	if reflect.DeepEqual(first, run(t, cfg)) {
		t.Error("another seed makes no difference")
	}
}

// TestDelivered: in whatever design, all is delivered once to each, and nothing
// sooner than the network and the work allow.
func TestDelivered(t *testing.T) {
	for _, shards := range []int{1, 4, 16} {
		for _, relays := range []int{0, 3} {
			for _, pause := range []time.Duration{0, 5 * time.Millisecond} {
				cfg := sim.Config{
					Replicas: 7, Shards: shards, Masters: min(shards, 3), Relays: relays, Pause: pause,
					WritesPerSecond: 2000, Length: time.Second, Seed: 3,
				}
				t.Run(fmt.Sprint(shards, relays, pause), func(t *testing.T) {
					r := run(t, cfg)
					if r.Delivered != 7*r.Writes || r.Rounds > r.Delivered {
						t.Errorf("%d of %d deliveries in %d rounds", r.Delivered, 7*r.Writes, r.Rounds)
					}
					if math.Abs(float64(r.Writes)-2000) > 6*math.Sqrt(2000) {
						t.Errorf("%d writes, want about 2000", r.Writes)
					}
					least := sim.Measured.Round + sim.Measured.ReplicaRound + sim.Zone.Least*time.Duration(1+min(relays, 1))
					if r.P50 < least || r.P99 < r.P50 || r.Max < r.P99 || r.Behind {
						t.Errorf("p50 %s, p99 %s, max %s, behind %v; at least %s", r.P50, r.P99, r.Max, r.Behind, least)
					}
					if len(r.CPU) != cfg.Masters*(1+relays) || len(r.Network) != len(r.CPU) {
						t.Errorf("%d servers", len(r.CPU))
					}
				})
			}
		}
	}
}

// TestOnPaper: where the sum can be done by hand, the model agrees.
func TestOnPaper(t *testing.T) {
	r := run(t, sim.Config{Replicas: 1, Shards: 1, Masters: 1, WritesPerSecond: 100, Length: 10 * time.Second, Seed: 1})
	c := sim.Measured
	perSecond := float64(r.Writes) / 10
	for _, x := range []struct {
		what      string
		got, want float64
	}{
		{"CPU", r.CPU[0], perSecond * (c.Write + c.Round + c.Entry).Seconds()},
		{"replica's CPU", r.ReplicaCPU, perSecond * (c.ReplicaRound + c.Apply).Seconds()},
		{"bytes", r.Sent, perSecond * (c.EntryBytes + c.RoundBytes)},
		{"log", r.LogBytes, 100 * 600 * c.LogBytes},
	} {
		if math.Abs(x.got-x.want) > 0.05*x.want {
			t.Errorf("%s: %.4g, by hand %.4g", x.what, x.got, x.want)
		}
	}
}

// TestBreaks: it says what is used up, whatever that is.
func TestBreaks(t *testing.T) {
	fast := sim.Costs{
		Write: time.Microsecond, Copy: time.Microsecond, Round: time.Microsecond, Entry: time.Nanosecond, Apply: time.Nanosecond,
		ReplicaRound: time.Microsecond, EntryBytes: 1, RoundBytes: 1, NetworkBytes: 1e9,
	}
	for want, change := range map[string]func(*sim.Config){
		"":                    func(*sim.Config) {},
		"a master's CPU":      func(c *sim.Config) { c.Costs.Write = 2 * time.Millisecond },
		"a master's network":  func(c *sim.Config) { c.Costs.EntryBytes = 1e6 },
		"a relay's CPU":       func(c *sim.Config) { c.Relays, c.Costs.Copy = 1, 2*time.Millisecond },
		"a relay's network":   func(c *sim.Config) { c.Relays, c.Costs.EntryBytes = 1, 3e5 },
		"a replica's CPU":     func(c *sim.Config) { c.Costs.Apply = 2 * time.Millisecond },
		"but not on 4 cores":  func(c *sim.Config) { c.Costs.Apply, c.Cores, c.Shards = 2*time.Millisecond, 4, 4 },
		"but not on 4 shards": func(c *sim.Config) { c.Costs.Write, c.Shards, c.Masters = 2*time.Millisecond, 4, 4 },
	} {
		cfg := sim.Config{Replicas: 10, Shards: 1, Masters: 1, WritesPerSecond: 1000, Length: time.Second, Seed: 1, Costs: fast}
		change(&cfg)
		r := run(t, cfg)
		if strings.HasPrefix(want, "but not") {
			want = ""
		}
		if r.Limit != want || r.Behind != (want != "") {
			t.Errorf("used up: %q, want %q; behind: %v", r.Limit, want, r.Behind)
		}
	}
}

func TestNothingToModel(t *testing.T) {
	for _, cfg := range []sim.Config{{}, {Replicas: 1, Shards: 1, Masters: 1, Length: time.Second}, {Replicas: 1, Shards: 1, Masters: 1, WritesPerSecond: 1}} {
		if _, err := sim.Run(cfg); err == nil {
			t.Errorf("%+v can be run", cfg)
		}
	}
}
