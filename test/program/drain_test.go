package program

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// SIGTERM: not ready, no new connections, and what is under way is finished.
func TestD13DrainFinishesRequests(t *testing.T) {
	t.Parallel()
	u, arrived, release := held(t)
	g := start(t, t.TempDir(), rig.Config{YAML: configured("file:gatehouse.db", "", u.URL, "slow")})
	const requests = 40
	got := make(chan rig.Answer, requests)
	for range requests {
		go func() { got <- g.Send(t, rig.Get("/slow")) }()
	}
	for range requests {
		<-arrived
	}
	g.Signal(t, syscall.SIGTERM)
	rig.Eventually(t, "refusing", func() bool {
		c, err := net.Dial("tcp", g.Addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if a := g.AdminCall(t, "GET", "/readyz", ""); a.Status != 503 || !strings.Contains(a.Body, `"draining"`) {
		t.Errorf("/readyz while draining: %d %s", a.Status, a.Body)
	}
	release()
	for range requests {
		if a := <-got; a.Status != 200 || a.Body != "late, and whole\n" {
			t.Errorf("a request under way got %d %q", a.Status, a.Body)
		}
	}
	if err := g.Exit(t); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
}

// Behind a load balancer that asks /readyz no client notices the end.
func TestD13DrainDelayLosesNothing(t *testing.T) {
	t.Parallel()
	u := rig.StartUpstream(t)
	g := start(t, t.TempDir(), rig.Config{YAML: configured("memory:", ", drain_delay: 500ms", u.URL, "x")})
	var stop atomic.Bool
	var done, failed atomic.Int64
	var clients sync.WaitGroup
	for i := range 8 {
		// Half of them on connections that stay, half on new ones.
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i%2 == 0}}
		clients.Go(func() {
			defer client.CloseIdleConnections()
			for !stop.Load() {
				res, err := client.Get("http://" + g.Addr + "/x")
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				if err != nil || res.StatusCode != 200 {
					failed.Add(1)
					t.Errorf("request %d failed: %v", done.Load(), err)
					return
				}
				done.Add(1)
			}
		})
	}
	rig.Eventually(t, "under load", func() bool { return done.Load() > 100 })
	g.Signal(t, syscall.SIGTERM)
	rig.Eventually(t, "not ready", func() bool { return g.AdminCall(t, "GET", "/readyz", "").Status == 503 })
	stop.Store(true)
	clients.Wait()
	if err := g.Exit(t); err != nil || failed.Load() > 0 {
		t.Errorf("%d of %d requests were lost; the gateway ended with %v", failed.Load(), done.Load(), err)
	}
}

func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	u, arrived, _ := held(t)
	g := start(t, t.TempDir(), rig.Config{YAML: configured("memory:", ", drain_timeout: 100ms", u.URL, "slow")})
	go func() { _ = g.SendAll(t, rig.Get("/slow")) }()
	<-arrived
	g.Signal(t, syscall.SIGTERM)
	var exit *exec.ExitError
	if err := g.Exit(t); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the gateway ended with %v, want status 1", err)
	}
	if !strings.Contains(g.Log.String(), "requests were still under way after drain_timeout (100ms) and were cut off") {
		t.Error("it does not say that requests were cut off")
	}
}

// A second signal ends the process at once, whatever is under way.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	u, arrived, _ := held(t)
	g := start(t, t.TempDir(), rig.Config{YAML: configured("memory:", ", drain_timeout: 1h", u.URL, "slow")})
	go func() { _ = g.SendAll(t, rig.Get("/slow")) }()
	<-arrived
	g.Signal(t, syscall.SIGTERM)
	g.Log.Wait(t, "draining")
	began := time.Now()
	g.Signal(t, syscall.SIGTERM)
	var exit *exec.ExitError
	if err := g.Exit(t); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the gateway ended with %v after %s, want by the signal", err, time.Since(began))
	}
}
