// Package rig runs the built program for whole-program tests: it builds it
// once, starts it in front of an upstream that remembers what it received, and
// speaks to it in raw bytes where a client would normalise them.
//
// It sees the program from outside; its one import of ours is for the build
// cache, which would otherwise call a test passed that ran against an older
// program. What it starts
// ends with the test that started it, or at the latest with [Run]; each gateway
// has a goroutine that reads its log, which ends with the process.
package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	_ "gatehouse/cli" // see the package's doc
)

// program is the built program and its processes that run.
var program struct {
	sync.Mutex
	path    string
	running map[*Gateway]bool
}

// Run builds the program, runs a package's tests and ends the gateways that
// are left. It returns the exit status for TestMain.
func Run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "gatehouse-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	program.path, program.running = filepath.Join(folder, "gatehouse"), map[*Gateway]bool{}
	if out, err := exec.Command("go", "build", "-o", program.path, "gatehouse").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	status := m.Run()
	program.Lock()
	left := program.running
	program.running = nil
	program.Unlock()
	for g := range left {
		if err := g.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, g.Log)
			status = 1
		}
	}
	return status
}

// Command is a run of the program with those arguments, in that folder.
func Command(folder string, args ...string) *exec.Cmd {
	cmd := exec.Command(program.path, args...)
	cmd.Dir = folder
	return cmd
}
