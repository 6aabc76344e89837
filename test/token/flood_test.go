package token_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkLoginFlood tells what 500 logins at once do to everybody else: the
// time of a proxied request, before and during. It is not judged: other work on
// the machine must not fail a build. The goal is that p99 at most doubles; that it does
// not is due to users.Process.
func BenchmarkLoginFlood(b *testing.B) {
	const logins, calls = 500, 2000
	w := start(b, "memory:", set("PER_ACCOUNT", "off"), set("PER_IP", "off"))
	access := w.login(b).Access
	client := w.kept(b)
	measure := func(until func(int) bool) (p50, p99 time.Duration) {
		var times []time.Duration
		for i := 0; !until(i); i++ {
			began := time.Now()
			client(b, access)
			times = append(times, time.Since(began))
		}
		slices.Sort(times)
		return times[len(times)/2], times[len(times)*99/100]
	}
	for b.Loop() {
		before50, before99 := measure(func(i int) bool { return i == calls })
		var flood sync.WaitGroup
		var checked atomic.Int32
		for range logins {
			flood.Go(func() {
				if w.attempt(b, "jane").Status == 400 {
					checked.Add(1)
				}
			})
		}
		over := make(chan struct{})
		go func() {
			flood.Wait()
			close(over)
		}()
		during50, during99 := measure(func(i int) bool {
			select {
			case <-over:
				return i > 100
			default:
				return false
			}
		})
		b.Logf("a proxied request takes %v (p99 %v), during %d logins at once, of which %d were checked, %v (p99 %v)", before50, before99, logins, checked.Load(), during50, during99)
		b.ReportMetric(float64(before99.Microseconds()), "µs-p99-before")
		b.ReportMetric(float64(during99.Microseconds()), "µs-p99-during")
	}
}
