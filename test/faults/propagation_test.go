package faults

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// TestPropagation measures how long a revocation takes from its acknowledgement
// by one gateway to the refusal by the last of eight.
func TestPropagation(t *testing.T) {
	const most = 10 * time.Millisecond
	w := newWorld(t, storetest.StartRedis(t), 8)
	w.traffic.end()
	for range 3 { // other work on this machine may get in the way
		p99, asking := w.propagation(t)
		if p99 <= most+asking {
			return
		}
	}
	t.Errorf("p99 is more than %s each time", most)
}

// propagation returns how long it took, and how long asking alone takes.
func (w *world) propagation(t *testing.T) (p99, asking time.Duration) {
	t.Helper()
	var took, again []time.Duration
	for range 200 {
		w.sessions++
		sid := fmt.Sprint("s", w.sessions)
		revoked := token(sid)
		rig.Eventually(t, "revoked", func() bool { return w.tryRevoke(t, w.gateways[0], sid) == 201 })
		took = w.refusals(t, revoked, took)
		again = w.refusals(t, revoked, again)
	}
	p99, asking = percentile99(took), percentile99(again)
	t.Logf("in force after: p50 %s, p99 %s, at most %s; asking alone takes p99 %s", took[len(took)/2], p99, took[len(took)-1], asking)
	return p99, asking
}

// refusals adds when each gateway in turn refuses a token.
func (w *world) refusals(t *testing.T, revoked string, took []time.Duration) []time.Duration {
	t.Helper()
	began := time.Now()
	for _, g := range w.gateways {
		for status(w.client, g, revoked) != 401 {
			if time.Since(began) > rig.Patience {
				t.Fatal("not refused")
			}
		}
		took = append(took, time.Since(began))
	}
	return took
}
