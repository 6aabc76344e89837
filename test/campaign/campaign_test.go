package campaign

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/test/rig"
)

var mutations = flag.Int("campaign.mutations", 20_000, "changed credentials that are sent")

var rigHash = rig.Hash(apiKey)

// batch is how many requests go out in one piece; one of them is good.
const batch = 64

// Of all the changed credentials none gets through, and none is answered 5xx.
func TestJ34T04K03Campaign(t *testing.T) {
	w := start(t)
	var sent, next, controls atomic.Int64
	byKind := make([]atomic.Int64, len(kinds))
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for int(sent.Load()) < *mutations && !t.Failed() {
				r := rand.New(rand.NewPCG(uint64(next.Add(1)), 2)) // the same in each run, but for signatures
				requests, of := []string{request(w.good(r.IntN(len(w.tokens)))...)}, []int{-1}
				for len(requests) < batch {
					k := r.IntN(len(kinds))
					if lines := kinds[k].mutate(w, r); !w.isGood(lines) {
						requests, of = append(requests, request(lines...)), append(of, k)
						byKind[k].Add(1)
					}
				}
				for i, status := range w.statuses(t, requests, 16) {
					switch {
					case of[i] < 0 && status != 200:
						t.Errorf("a good request is answered %d: %q", status, requests[i])
					case of[i] >= 0 && !slices.Contains([]int{400, 401, 431}, status):
						t.Errorf("%s: answered %d: %q", kinds[of[i]].name, status, requests[i])
					}
				}
				controls.Add(1)
				sent.Add(batch - 1)
			}
		})
	}
	clients.Wait()
	if got := w.forwarded.Load(); got != controls.Load() {
		t.Errorf("%d requests got to the upstream, of which %d were good", got, controls.Load())
	}
	for k := range kinds {
		if byKind[k].Load() == 0 {
			t.Errorf("%s: none was sent", kinds[k].name)
		}
		t.Logf("%8d %s", byKind[k].Load(), kinds[k].name)
	}
	t.Logf("%d changed credentials: none accepted, none answered 5xx; %d good ones between them got through", sent.Load(), controls.Load())
}

// isGood reports whether lines are those of a good request, but for the white
// space that HTTP takes off values (RFC 9110 §5.5).
func (w *world) isGood(lines []string) bool {
	if len(lines) != 2 || strings.Trim(lines[0], " \t") != keyLine {
		return false
	}
	return slices.ContainsFunc(w.tokens, func(s [3]string) bool { return strings.Trim(lines[1], " \t") == bearer(strings.Join(s[:], ".")) })
}
