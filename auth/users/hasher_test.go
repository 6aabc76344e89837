package users

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth/token"
)

// slow returns a Hasher on that many processors whose hashes take so long, and
// the most that were computed at once.
func slow(t testing.TB, limit, procs int, each time.Duration) (h *Hasher, most *atomic.Int64) {
	t.Helper()
	h, err := NewHasher(HasherConfig{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	most = new(atomic.Int64)
	var now atomic.Int64
	h.procs = func() int { return procs }
	h.verify = func(context.Context, PasswordHash, string) (bool, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(each)
		return true, nil
	}
	return h, most
}

// state is what hashes now, and how many wait.
func state(h *Hasher) (running load, waiting int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running, len(h.waiting)
}

// flood checks n passwords at once and counts the outcomes.
func flood(ctx context.Context, h *Hasher, n int, hash PasswordHash) (right, busy int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			ok, err := h.check(ctx, hash, "x")
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, token.ErrBusy) {
				busy++
			} else if ok && err == nil {
				right++
			}
		})
	}
	wg.Wait()
	return right, busy
}

func TestA07HashesAtOnceAreBounded(t *testing.T) {
	wide := shape{threads: 4, memory: 64}.dummy()
	large := shape{threads: 1, memory: maxArgonMemory}.dummy()
	for _, c := range []struct {
		name         string
		limit, procs int
		hash         PasswordHash
		want         int64
	}{
		{"the limit", 3, 64, defaultShape.dummy(), 3},
		{"a processor is left to requests", 64, 4, defaultShape.dummy(), 3},
		{"one hash at least", 4, 1, defaultShape.dummy(), 1},
		{"two processors", 2, 2, defaultShape.dummy(), 1},
		{"lanes count", 8, 64, wide, 2},
		{"more lanes than there may be", 3, 64, wide, 1},
		{"bcrypt has one lane", 3, 64, shape{cost: 4}.dummy(), 3},
		{"memory counts", 8, 64, large, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, most := slow(t, c.limit, c.procs, time.Millisecond)
			if right, busy := flood(t.Context(), h, 20, c.hash); right != 20 || busy != 0 || most.Load() != c.want {
				t.Errorf("%s: %d right, %d busy, %d at once; want 20, 0, %d", c.name, right, busy, most.Load(), c.want)
			}
			if running, waiting := state(h); running != (load{}) || waiting != 0 {
				t.Errorf("%s: left over: %+v, %d waiting", c.name, running, waiting)
			}
		})
	}
}

func TestA07QueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := slow(t, 1, 2, time.Millisecond)
		began := time.Now()
		right, busy := flood(t.Context(), h, 500, defaultShape.dummy())
		if right != 1+waitingPerThread || busy != 500-right {
			t.Errorf("%d were checked, %d refused; want %d in the queue", right, busy, waitingPerThread)
		}
		if took := time.Since(began); took != time.Duration(right)*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}

func TestA07WaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := slow(t, 1, 2, 300*time.Millisecond)
		began := time.Now()
		right, busy := flood(t.Context(), h, 30, defaultShape.dummy())
		if right != 7 || busy != 23 { // those that begin within two seconds
			t.Errorf("%d were checked, %d refused", right, busy)
		}
		if took := time.Since(began); took != 7*300*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if running, waiting := state(h); running != (load{}) || waiting != 0 {
			t.Errorf("left over: %+v, %d waiting", running, waiting)
		}
	})
}

func TestHasherFollowsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := slow(t, 1, 2, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = h.check(t.Context(), defaultShape.dummy(), "x") })
		synctest.Wait()
		wg.Go(func() {
			if _, err := h.check(ctx, defaultShape.dummy(), "x"); !errors.Is(err, context.Canceled) {
				t.Errorf("who has gone gets %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if _, waiting := state(h); waiting != 0 {
			t.Error("who has gone waits on")
		}
		wg.Wait()
		for range 20 { // though nobody else hashes
			if _, err := h.check(ctx, defaultShape.dummy(), "x"); !errors.Is(err, context.Canceled) {
				t.Errorf("who has gone before gets %v", err)
			}
		}
	})
}

// Whoever stands in front because a hash is too large for what is left must not
// keep the others waiting when it leaves.
func TestHasherGoesOnWhenTheFirstLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := slow(t, 2, 64, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		check := func(ctx context.Context, threads uint8) {
			wg.Go(func() { _, _ = h.check(ctx, shape{threads: threads}.dummy(), "x") })
			synctest.Wait()
		}
		check(t.Context(), 1)
		check(ctx, 2)
		check(t.Context(), 1)
		if running, waiting := state(h); running.threads != 1 || waiting != 2 {
			t.Fatalf("%d hash, %d wait; want the first come to be served first", running.threads, waiting)
		}
		cancel()
		synctest.Wait()
		if running, waiting := state(h); running.threads != 2 || waiting != 0 {
			t.Errorf("%d hash, %d wait, and there is room", running.threads, waiting)
		}
		wg.Wait()
	})
}

func TestSetLimit(t *testing.T) {
	for _, n := range []int{0, -1} {
		if _, err := NewHasher(HasherConfig{Limit: n}); err == nil {
			t.Errorf("a limit of %d is taken", n)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h, most := slow(t, 1, 64, time.Second)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, _ = h.check(t.Context(), defaultShape.dummy(), "x") })
		}
		synctest.Wait()
		if err := h.SetLimit(3); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if most.Load() != 3 {
			t.Errorf("%d hash at once, after the limit was raised to 3", most.Load())
		}
		wg.Wait()
	})
}

// A flood of logins takes what the Hasher gives it: the time of a request beside
// it is a metric of the benchmark.
func BenchmarkFlood(b *testing.B) {
	h, err := NewHasher(HasherConfig{Limit: runtime.GOMAXPROCS(0)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := h.check(ctx, defaultShape.dummy(), "x"); err != nil {
					time.Sleep(50 * time.Millisecond) // a client that waits before it tries again
				}
			}
		})
	}
	var beside []time.Duration
	for b.Loop() {
		began := time.Now()
		done := make(chan struct{})
		go close(done) // what any request does: it is scheduled
		<-done
		beside = append(beside, time.Since(began))
	}
	cancel()
	wg.Wait()
	slices.Sort(beside)
	b.ReportMetric(float64(beside[len(beside)*99/100].Nanoseconds()), "p99-ns")
}
