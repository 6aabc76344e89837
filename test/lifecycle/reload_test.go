package lifecycle

import (
	"flag"
	"fmt"
	"sync"
	"testing"

	"gatehouse/test/rig"
)

var (
	reloads = flag.Int("lifecycle.reloads", 30, "reloads under load")
	drains  = flag.Int("lifecycle.drains", 5, "ends under load")
)

// Reloads under load: each puts another configuration into force, and no
// request fails.
func TestD13ReloadsUnderLoad(t *testing.T) {
	up := loadUpstream(t)
	text := func(n int) string {
		return configured("", up.URL, fmt.Sprintf(", {name: new%d, match: /new%d}", n, n%7))
	}
	g := rig.Start(t, rig.Config{YAML: text(0)})
	l := startLoad(t, 4, func() (string, func()) { return g.Addr, func() {} })
	before := 0
	for n := range *reloads {
		write(t, g, text(n+1))
		if a := g.AdminCall(t, "POST", "/v1/reload", ""); a.Status != 200 && a.Status != 204 {
			t.Fatalf("reload %d is answered %d %s", n, a.Status, a.Body)
		}
		if n == 10 {
			before = metric(t, g, "go_goroutines")
		}
	}
	after := metric(t, g, "go_goroutines")
	t.Logf("%d reloads, %d requests, none failed; %d goroutines in the beginning and %d at the end", *reloads, l.stop(), before, after)
	if after > before+20 { // those of the load come and go
		t.Errorf("%d goroutines after 10 reloads, %d after %d", before, after, *reloads)
	}
}

// balancer sends requests to the one of its gateways that is in service, as a
// load balancer does that asks /readyz.
type balancer struct {
	mu      sync.RWMutex
	gateway *rig.Gateway
}

func (b *balancer) address() (string, func()) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.gateway.Addr, func() {}
}

func (b *balancer) use(g *rig.Gateway) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gateway = g
}

// Gateways that end one after the other, with another ready in their place,
// lose no request.
func TestD13DrainsUnderLoad(t *testing.T) {
	up := loadUpstream(t)
	start := func() *rig.Gateway {
		g, err := rig.New(t.TempDir(), rig.Config{YAML: configured(", drain_delay: 100ms", up.URL, "")})
		if err != nil {
			t.Fatal(err)
		}
		g.WaitReady(t)
		return g
	}
	b := &balancer{}
	b.use(start())
	l := startLoad(t, 4, b.address)
	for range *drains {
		old := b.gateway
		next := start()
		ended := make(chan error, 1)
		go func() { ended <- old.Stop() }()
		rig.Eventually(t, "not ready", func() bool { return old.AdminCall(t, "GET", "/readyz", "").Status == 503 })
		b.use(next)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d drains, %d requests, none failed", *drains, l.stop())
	if err := b.gateway.Stop(); err != nil {
		t.Error(err)
	}
}
