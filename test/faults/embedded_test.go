package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// TestEmbeddedKilled: kill -9 at any instant makes the embedded store forget
// nothing that was acknowledged.
func TestEmbeddedKilled(t *testing.T) {
	t.Parallel()
	up := rig.StartUpstream(t)
	cfg := rig.TokenService("file:gatehouse.db", up.URL)
	cfg.Env["GRACE"] = "60s" // who does not hear the answer asks again
	folder := t.TempDir()
	w := &world{client: &http.Client{Timeout: rig.Patience}}
	start := func() *rig.Gateway {
		g, err := rig.New(folder, cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Stop() })
		g.WaitReady(t)
		w.gateways = []*rig.Gateway{g}
		return g
	}
	g := start()
	mine := w.login(t)
	var acknowledged []string
	for round := range 2 * *rounds {
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ; i++ {
				sid := fmt.Sprintf("s%d-%d", round, i)
				if post(w.client, g, sid) != 201 {
					return
				}
				acknowledged = append(acknowledged, sid)
			}
		})
		wg.Go(func() {
			for {
				got, _ := w.tryAsk(g, "grant_type", "refresh_token", "refresh_token", mine.Refresh)
				if got.status != 200 {
					return
				}
				mine = got
			}
		})
		time.Sleep(rand.N(300 * time.Millisecond))
		g.Kill()
		wg.Wait()
		g = start()
		list := g.AdminCall(t, "GET", "/v1/revocations", "").Body
		for _, sid := range acknowledged {
			if !strings.Contains(list, fmt.Sprintf("%q", sid)) {
				t.Fatalf("%s was acknowledged, and forgotten in round %d", sid, round+1)
			}
		}
		if got := w.refreshed(t, mine.Refresh); got.status != 200 {
			t.Fatalf("a refresh token that was given is answered %d in round %d", got.status, round+1)
		}
	}
	t.Logf("%d revocations were acknowledged, %d times killed", len(acknowledged), 2**rounds)
}

// post asks once to revoke a session; 0: there was no answer.
func post(client *http.Client, g *rig.Gateway, sid string) int {
	r, _ := http.NewRequest("POST", "http://"+g.Admin+"/v1/revocations", strings.NewReader(fmt.Sprintf(`{"kind":"sid","id":%q}`, sid)))
	r.Header.Set("Authorization", "Bearer "+rig.AdminToken)
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}
