// Package faults breaks the store under running gateways, in every way that it
// can break, and sees that no revoked token gets through, that no good one is
// called bad, and that all is well again soon after.
package faults

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

var (
	rounds = flag.Int("faults.rounds", 1, "how often each fault happens")
	hold   = flag.Duration("faults.hold", 700*time.Millisecond, "how long each fault lasts")
)

const (
	entriesKey = "gatehouse:{0}:revocations"

	recovery = 2 * time.Second // how soon all must be well
	slack    = time.Second     // what a busy machine may add
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "10") // most of the time they wait; the command line can say otherwise
	os.Exit(rig.Run(m))
}

type world struct {
	redis    *storetest.Redis // that has the list
	proxies  []*proxy
	gateways []*rig.Gateway
	traffic  *traffic
	client   *http.Client
	sessions int // revoked so far
}

// config is for a store that is described by lines of YAML.
func config(t *testing.T, store string) rig.Config {
	return rig.Config{YAML: fmt.Sprintf(`
server: {listen: "127.0.0.1:0", drain_delay: 0s}
admin: {listen: "127.0.0.1:0", token: %q}
store: {%s}
defaults: {upstream: %q, auth: bearer}
routes: [{name: all, match: /}]
issuers:
  - {name: main, issuer: https://a.example, audiences: [api], keys: [{kid: k, algorithm: HS256, secret: %q}]}
`, rig.AdminToken, store, rig.StartUpstream(t).URL, secret)}
}

// at is the configuration of a store at that URL.
func at(url string) string { return fmt.Sprintf("url: %q", url) }

// newWorld starts gateways on a Redis, each through a proxy of its own, and
// traffic to them with a token that is revoked.
func newWorld(t *testing.T, redis *storetest.Redis, n int) *world {
	w := &world{redis: redis}
	for range n {
		p := startProxy(t, redis.Addr)
		w.proxies = append(w.proxies, p)
		w.start(t, at("redis://"+p.Addr+"/0"))
	}
	w.begin(t)
	return w
}

// newDirectWorld starts two gateways on a store, and traffic; that Redis has
// the list.
func newDirectWorld(t *testing.T, redis *storetest.Redis, store string) *world {
	w := &world{redis: redis}
	w.start(t, store)
	w.start(t, store)
	w.begin(t)
	return w
}

func (w *world) start(t *testing.T, store string) {
	w.gateways = append(w.gateways, rig.StartUnready(t, config(t, store)))
}

// begin waits until the gateways are ready, and begins the traffic.
func (w *world) begin(t *testing.T) {
	t.Helper()
	w.client = &http.Client{Timeout: rig.Patience}
	began := time.Now()
	for _, g := range w.gateways {
		g.WaitReady(t)
	}
	t.Logf("ready on an empty Redis after %s", time.Since(began).Round(10*time.Millisecond))
	revoked := w.revoke(t)
	w.traffic = startTraffic(t, w.gateways, token("good"), revoked)
}

func (w *world) each(f fault) {
	for _, p := range w.proxies {
		p.set(f)
	}
}

// tryRevoke asks a gateway once to revoke a session.
func (w *world) tryRevoke(t *testing.T, g *rig.Gateway, sid string) int {
	t.Helper()
	return g.AdminCall(t, "POST", "/v1/revocations", fmt.Sprintf(`{"kind":"sid","id":%q}`, sid)).Status
}

// revoke revokes a session at the first gateway, as often as it takes, waits
// until all refuse its token, and returns that.
func (w *world) revoke(t *testing.T) string {
	t.Helper()
	w.sessions++
	sid := fmt.Sprint("s", w.sessions)
	rig.Eventually(t, "revoked", func() bool { return w.tryRevoke(t, w.gateways[0], sid) == 201 })
	revoked := token(sid)
	w.refusedByAll(t, revoked)
	return revoked
}

func (w *world) refusedByAll(t *testing.T, revoked string) {
	t.Helper()
	for i, g := range w.gateways {
		rig.Eventually(t, fmt.Sprint("refused by gateway ", i), func() bool { return status(w.client, g, revoked) == 401 })
	}
}

// whole reports whether every gateway holds a list that was whole at a time
// after that one.
func (w *world) whole(t *testing.T, since time.Time) bool {
	for _, g := range w.gateways {
		var s struct {
			Revocations struct {
				Age float64 `json:"age_seconds"`
			}
		}
		passed := time.Since(since) // before the question, so that no answer is younger
		if err := json.Unmarshal([]byte(g.AdminCall(t, "GET", "/v1/status", "").Body), &s); err != nil || s.Revocations.Age >= passed.Seconds() {
			return false
		}
	}
	return true
}

// well waits until all is well, which must be soon.
func (w *world) well(t *testing.T) {
	t.Helper()
	began := time.Now()
	w.revoke(t)
	revoked := time.Since(began)
	rig.Eventually(t, "whole", func() bool { return w.whole(t, began) })
	took := time.Since(began)
	rig.Eventually(t, "written back", func() bool {
		n, err := strconv.Atoi(w.redis.Do(t, "HLEN", entriesKey))
		return err == nil && n >= w.sessions
	})
	written := time.Since(began)
	t.Logf("after recovery a revocation is in force everywhere after %s, every list is whole after %s, and the store after at most %s",
		revoked.Round(time.Millisecond), took.Round(time.Millisecond), written.Round(time.Millisecond))
	if took > recovery+slack {
		t.Errorf("all is well only %s after recovery", took)
	}
}
