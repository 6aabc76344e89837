package rig

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience bounds every wait for something that must happen.
const Patience = 20 * time.Second

// AdminToken is the token of the admin API of every gateway.
const AdminToken = "an admin token for tests, of 36 bytes"

// Config is what a gateway runs with.
type Config struct {
	YAML  string            // gateway.yaml
	Files map[string]string // further files of its folder, by name
	Env   map[string]string // what `${NAME}` in the YAML stands for
	// Program is another build of the program; empty: the one that Run built.
	Program string
}

// Gateway is a running `gatehouse serve`.
type Gateway struct {
	Addr   string // of the data listener
	Admin  string // of the admin listener
	Folder string
	Log    *Log
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of the process; to be read once exited is closed
	stop   func() error
}

// New starts a gateway in that folder, and returns once it listens.
func New(folder string, cfg Config) (*Gateway, error) {
	files := map[string]string{"gateway.yaml": cfg.YAML}
	for name, text := range cfg.Files {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return launch(folder, cfg)
}

func launch(folder string, cfg Config) (*Gateway, error) {
	g := &Gateway{Folder: folder, Log: newLog(), cmd: Command(folder, "serve"), exited: make(chan struct{})}
	if cfg.Program != "" {
		g.cmd.Path = cfg.Program
	}
	g.cmd.Env = os.Environ()
	for name, value := range cfg.Env {
		g.cmd.Env = append(g.cmd.Env, name+"="+value)
	}
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			g.Log.add(lines.Text())
		}
		g.Log.end()
		g.err = g.cmd.Wait()
		close(g.exited)
	}()
	g.stop = sync.OnceValue(g.terminate)
	line := g.Log.wait(func(l Line) bool { return l["msg"] == "gatehouse: serving" })
	if line == nil {
		g.Kill()
		return nil, fmt.Errorf("the gateway does not start:\n%s", g.Log)
	}
	g.Addr, g.Admin = line["listen"].(string), line["admin"].(string)
	program.Lock()
	program.running[g] = true
	program.Unlock()
	return g, nil
}

// Start starts a gateway for a test and waits until it is ready.
func Start(t testing.TB, cfg Config) *Gateway {
	t.Helper()
	g := StartUnready(t, cfg)
	g.WaitReady(t)
	return g
}

// StartUnready starts a gateway for a test.
func StartUnready(t testing.TB, cfg Config) *Gateway {
	t.Helper()
	g, err := New(t.TempDir(), cfg)
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
	return g
}

// WaitReady waits until the gateway says that it is ready.
func (g *Gateway) WaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, "ready", func() bool { return g.AdminCall(t, "GET", "/readyz", "").Status == 200 })
}

// Stop ends the gateway by SIGTERM. The error says that it did not drain, or
// that a request made it panic.
func (g *Gateway) Stop() error { return g.stop() }

func (g *Gateway) terminate() error {
	program.Lock()
	delete(program.running, g)
	program.Unlock()
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.exited:
	case <-time.After(Patience):
		g.Kill()
		return errors.New("the gateway does not end after SIGTERM")
	}
	if g.err != nil {
		return fmt.Errorf("the gateway ended with %w", g.err)
	}
	if g.Log.find(func(l Line) bool { return l["panic"] != nil }) != nil {
		return errors.New("a request made the gateway panic")
	}
	return nil
}

// Kill ends the gateway by SIGKILL.
func (g *Gateway) Kill() {
	program.Lock()
	delete(program.running, g)
	program.Unlock()
	g.stop = func() error { return nil }
	_ = g.cmd.Process.Kill()
	<-g.exited
}

// Eventually waits until something holds, and fails the test if it never does.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never %s", what)
		}
	}
}
