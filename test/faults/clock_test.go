package faults

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// steps are how far ahead a clock is, one after the other.
var steps = []time.Duration{60 * time.Second, 0, -60 * time.Second, 0}

// TestClockOfRedis steps the clock of the store. Where it was is remembered in
// the store, by entries of the log, by windows, and by when it was new: less
// than a minute ago.
func TestClockOfRedis(t *testing.T) {
	t.Parallel()
	redis, set := storetest.StartRedisClock(t)
	w := newWorld(t, redis, 2)
	w.traffic.strict = true
	for range *rounds {
		for _, ahead := range steps {
			t.Run(ahead.String(), func(t *testing.T) {
				set(ahead)
				clock, err := strconv.ParseInt(strings.Split(redis.Do(t, "TIME"), "\n")[0], 10, 64)
				if off := time.Until(time.Unix(clock, 0)) - ahead; err != nil || off.Abs() > 5*time.Second {
					t.Fatalf("the clock of Redis is off by %s: %v", off, err)
				}
				for _, p := range w.proxies {
					p.reset() // a new connection asks since when the store is what it is
				}
				time.Sleep(*hold)
				w.well(t)
				w.traffic.verdict(t)
			})
		}
	}
}

// TestClockOfRedisAndTokens: sessions go on, and no limit begins anew.
func TestClockOfRedisAndTokens(t *testing.T) {
	t.Parallel()
	redis, set := storetest.StartRedisClock(t)
	w := newTokenWorld(t, redis, "timeout: 5s", "PER_ACCOUNT=3/10m")
	guess := func() int {
		return w.ask(t, w.gateways[1], "grant_type", "password", "username", "nobody", "password", "guess").status
	}
	mine := w.login(t)
	for i := range 3 {
		if code := guess(); code != 400 {
			t.Fatalf("guess %d: %d", i+1, code)
		}
	}
	for _, ahead := range steps {
		set(ahead)
		next := w.refreshed(t, mine.Refresh)
		if next.status != 200 || next.Refresh == mine.Refresh {
			t.Fatalf("%s ahead: %d", ahead, next.status)
		}
		mine = next
		if code := guess(); code != 429 {
			t.Errorf("%s ahead a further guess is answered %d", ahead, code)
		}
	}
}

// TestClockOfGateway steps the clock of one gateway of two. Its list is neither
// staler nor fresher for it.
func TestClockOfGateway(t *testing.T) {
	if *rounds == 1 {
		t.Skip("it builds the standard library with another clock, which takes a minute: make faults")
	}
	t.Parallel()
	w := &world{redis: storetest.StartRedis(t)}
	p := startProxy(t, w.redis.Addr)
	w.start(t, at("redis://"+p.Addr+"/0"))
	stepping := config(t, at("redis://"+p.Addr+"/0"))
	stepping.Program = rig.BuildWithClock(t)
	g := rig.StartUnready(t, stepping)
	w.gateways = append(w.gateways, g)
	w.begin(t)
	w.traffic.strict = true
	now := time.Now()
	soonOver, fresh := tokenAt("short", now.Add(-2*time.Minute), now.Add(40*time.Second)), tokenAt("fresh", now, now.Add(time.Hour))
	for _, c := range []struct {
		name        string
		signal      syscall.Signal
		early, late bool // whether it takes what is over in 40 s for over, and what is issued now for issued later
	}{
		{"a minute ahead", syscall.SIGUSR1, true, false},
		{"right again", syscall.SIGUSR2, false, false},
		{"a minute behind", syscall.SIGUSR2, false, true},
		{"right", syscall.SIGUSR1, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.Signal(t, c.signal)
			rig.Eventually(t, "stepped", func() bool {
				return (status(w.client, g, soonOver) == 401) == c.early && (status(w.client, g, fresh) == 401) == c.late
			})
			w.well(t)
			w.traffic.verdict(t)
		})
	}
	w.traffic.end()
	// Cut off, the list grows old by the clock that only goes forward.
	p.set(fault{blackhole: true})
	cut := time.Now()
	g.Signal(t, syscall.SIGUSR2)
	for _, each := range w.gateways {
		rig.Eventually(t, "stale", func() bool { return status(w.client, each, token("good")) == 503 })
	}
	if took := time.Since(cut); took < 4*time.Second || took > 7*time.Second {
		t.Errorf("with a clock that went back the list is stale after %s, want 5 s", took)
	}
	w.refusedByAll(t, token("s1"))
}
