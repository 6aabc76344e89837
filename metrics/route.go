package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/auth"
)

// noRoute is the label `route` of requests that no route matched. A route
// cannot have this name.
const noRoute = "(none)"

// maxReasons is how many reasons a Route has room for; a test holds auth to it.
const maxReasons = 64

// Route counts what happens on one route. Its methods take no lock and
// allocate nothing; any number of requests may call them.
type Route struct {
	requests  [len(methods)][len(statuses)]atomic.Uint64
	decisions [maxReasons]atomic.Uint64
	duration  histogram
	upstream  histogram
}

// Request counts an answered request: its method, the status of the answer,
// and how long it took from its head to the last byte of the answer.
func (r *Route) Request(method string, status int, took time.Duration) {
	r.requests[methodIndex(method)][statusIndex(status)].Add(1)
	r.duration.observe(took)
}

// Decision counts a decision.
func (r *Route) Decision(reason auth.Reason) { r.decisions[reason].Add(1) }

// Upstream counts how long the upstream took to answer, up to the end of its
// final header.
func (r *Route) Upstream(took time.Duration) { r.upstream.observe(took) }

func (r *Route) collect(ch chan<- prometheus.Metric, name string) {
	for m := range r.requests {
		for s := range r.requests[m] {
			if n := r.requests[m][s].Load(); n > 0 {
				ch <- counter(requestsTotal, n, name, methods[m], statuses[s])
			}
		}
	}
	for _, reason := range auth.Reasons() {
		if n := r.decisions[reason].Load(); n > 0 {
			ch <- counter(decisionsTotal, n, name, result(reason), reason.String())
		}
	}
	r.duration.collect(ch, requestDuration, name)
	r.upstream.collect(ch, upstreamDuration, name)
}

// result is what a decision with this reason came to.
func result(reason auth.Reason) string {
	switch {
	case reason == auth.OK:
		return "allowed"
	case reason.Status() >= 500:
		return "error"
	}
	return "denied"
}

func counter(desc *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
}

func gauge(desc *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
}
