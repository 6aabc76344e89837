package rig

import (
	"os"
	"testing"
	"time"
)

// Signal sends the gateway's process a signal.
func (g *Gateway) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Exit waits until the process ends by itself, and returns how it did. After
// it Stop does nothing.
func (g *Gateway) Exit(t testing.TB) error {
	t.Helper()
	select {
	case <-g.exited:
	case <-time.After(Patience):
		t.Fatal("the gateway does not end")
	}
	program.Lock()
	delete(program.running, g)
	program.Unlock()
	g.stop = func() error { return nil }
	return g.err
}
