package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are the upper ends of the buckets of every histogram here. They reach
// from a decision that had to wait for nothing to a slow upstream.
var bounds = [...]time.Duration{
	500 * time.Microsecond,
	1 * time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// histogram counts durations. It keeps whole nanoseconds, so that observing is
// two additions; the library's own adds up a float in a loop of
// compare-and-swap, at five times the price.
type histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	sum     atomic.Int64 // nanoseconds: enough for 292 years
}

func (h *histogram) observe(took time.Duration) {
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(max(took, 0)))
}

// collect sends the histogram, also while it is empty: rates need a series from
// its beginning. A duration that
// is observed meanwhile may be in a bucket and not yet in the sum.
func (h *histogram) collect(ch chan<- prometheus.Metric, desc *prometheus.Desc, labels ...string) {
	cumulative := make(map[float64]uint64, len(bounds))
	var count uint64
	for i, bound := range bounds {
		count += h.buckets[i].Load()
		cumulative[bound.Seconds()] = count
	}
	count += h.buckets[len(bounds)].Load()
	ch <- prometheus.MustNewConstHistogram(desc, count, time.Duration(h.sum.Load()).Seconds(), cumulative, labels...)
}
