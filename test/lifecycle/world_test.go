// Package lifecycle wears the built program out: clients that break off,
// upstreams that do, reloads and ends under load. Nothing may be left behind
// each, and no request of anybody else may suffer.
package lifecycle

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

// configured is a gateway.yaml with those further settings of the server and
// one open route.
func configured(server, upstream, more string) string {
	return fmt.Sprintf(`
server: {listen: "127.0.0.1:0"%s}
admin: {listen: "127.0.0.1:0", token: %q}
store: {url: "memory:"}
log: {access: false}
defaults: {upstream: %q, auth: none}
routes: [{name: all, match: /}%s]
`, server, rig.AdminToken, upstream, more)
}

// metric is the value of a metric without labels.
func metric(t *testing.T, g *rig.Gateway, name string) int {
	t.Helper()
	for line := range strings.Lines(g.AdminCall(t, "GET", "/metrics", "").Body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// scripted is an upstream that answers each connection with those bytes, once
// a request's head has come, and ends it.
func scripted(t *testing.T, answer string) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// write replaces the gateway's configuration in one step.
func write(t *testing.T, g *rig.Gateway, text string) {
	t.Helper()
	name := filepath.Join(g.Folder, "gateway.yaml")
	if err := os.WriteFile(name+"~", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+"~", name); err != nil {
		t.Fatal(err)
	}
}

// load is clients that ask without a pause, half of them on connections that
// stay, half on new ones. Each request goes to where address says, and must be
// answered whole.
type load struct {
	stopped atomic.Bool
	done    atomic.Int64
	clients sync.WaitGroup
}

const loadBody = 20_000 // bytes of an answer

func startLoad(t *testing.T, clients int, address func() (string, func())) *load {
	l := &load{}
	for i := range clients {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}, Timeout: rig.Patience}
		l.clients.Go(func() {
			defer client.CloseIdleConnections()
			for !l.stopped.Load() {
				to, release := address()
				res, err := client.Get("http://" + to + "/x")
				var n int64
				if err == nil {
					n, err = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				release()
				if err != nil || res.StatusCode != 200 || n != loadBody {
					t.Errorf("request %d failed: %v, %d bytes", l.done.Load(), err, n)
					return
				}
				l.done.Add(1)
			}
		})
	}
	rig.Eventually(t, "under load", func() bool { return l.done.Load() > 50 })
	return l
}

// stop ends the load and returns how many requests there were.
func (l *load) stop() int64 {
	l.stopped.Store(true)
	l.clients.Wait()
	return l.done.Load()
}

// loadUpstream answers the requests of a load.
func loadUpstream(t *testing.T) *rig.Upstream {
	up := rig.StartUpstream(t)
	body := make([]byte, loadBody)
	up.Handle(t, func(w http.ResponseWriter, _ *http.Request) {
		up.Take()
		_, _ = w.Write(body)
	})
	return up
}
