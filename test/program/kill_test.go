package program

import (
	"fmt"
	"os"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// An acknowledged revocation is there after kill -9, in the store's file and
// in Redis.
func TestRevocationSurvivesKill(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(*testing.T) string{
		"file":  func(*testing.T) string { return "file:gatehouse.db" },
		"redis": func(t *testing.T) string { return storetest.StartRedis(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := rig.StartUpstream(t)
			yaml := configured(url(t), "", u.URL) + "  - {name: x, match: /, auth: api_key}\n" +
				fmt.Sprintf("api_keys: {keys: [{id: web-app, sha256: %q}]}\n", rig.Hash("an API key"))
			folder := t.TempDir()
			g := start(t, folder, rig.Config{YAML: yaml})
			call := rig.Get("/", "Api-Key: an API key")
			if a := g.Send(t, call); a.Status != 200 {
				t.Fatalf("before: %d %s", a.Status, a.Body)
			}
			if a := g.AdminCall(t, "POST", "/v1/revocations", `{"kind":"api_key","id":"web-app"}`); a.Status != 201 {
				t.Fatalf("revoking: %d %s", a.Status, a.Body)
			}
			g.Kill() // at once: what was acknowledged must be safe already

			began := time.Now()
			again := start(t, folder, rig.Config{YAML: yaml})
			t.Logf("start to ready, with the kill's leftovers: %s", time.Since(began).Round(time.Millisecond))
			again.Send(t, call).Refused(t, 401, auth.APIKeyInvalid.String())
		})
	}
}

// The time from exec to ready, on the embedded store. It is printed and not
// judged: machines differ.
func TestStartToReady(t *testing.T) {
	folder := t.TempDir()
	began := time.Now()
	g := start(t, folder, rig.Config{YAML: configured("file:gatehouse.db", "", "http://127.0.0.1:1", "x")})
	t.Logf("start to ready: %s", time.Since(began).Round(time.Millisecond))
	if _, err := os.Stat(folder + "/gatehouse.db"); err != nil {
		t.Error(err)
	}
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
}
