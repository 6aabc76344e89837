package program

import (
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"

	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

// configured is a gateway.yaml with a store, those further settings of the
// server, and routes that ask for nothing: one for each name, at /NAME.
func configured(storeURL, server, upstream string, routes ...string) string {
	text := fmt.Sprintf(`
server: {listen: "127.0.0.1:0"%s}
admin: {listen: "127.0.0.1:0", token: %q}
store: {url: %q}
defaults: {upstream: %q, auth: none}
routes:
`, server, rig.AdminToken, storeURL, upstream)
	for _, name := range routes {
		text += fmt.Sprintf("  - {name: %s, match: /%s}\n", name, name)
	}
	return text
}

// start starts a gateway in a folder until the test ends, and waits until it
// is ready.
func start(t *testing.T, folder string, cfg rig.Config) *rig.Gateway {
	t.Helper()
	g, err := rig.New(folder, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", g.Log)
		}
	})
	g.WaitReady(t)
	return g
}

// answers reports whether a request for the path is answered with the status.
func answers(t *testing.T, g *rig.Gateway, path string, status int) bool {
	return g.Send(t, rig.Get(path)).Status == status
}

// want checks that it is.
func want(t *testing.T, g *rig.Gateway, path string, status int) {
	t.Helper()
	if a := g.Send(t, rig.Get(path)); a.Status != status {
		t.Errorf("%s is answered %d %s, want %d", path, a.Status, a.Body, status)
	}
}

// held is an upstream that keeps every request until it is told to answer, at
// the latest when the test ends.
func held(t *testing.T) (u *rig.Upstream, arrived chan struct{}, release func()) {
	told := make(chan struct{})
	u, arrived, release = rig.StartUpstream(t), make(chan struct{}, 100), sync.OnceFunc(func() { close(told) })
	t.Cleanup(release)
	u.Handle(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-told
		_, _ = fmt.Fprintln(w, "late, and whole")
	})
	return u, arrived, release
}
