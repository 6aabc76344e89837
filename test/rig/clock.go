package rig

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What stands before and after in time.Now, and two files that are added. The
// program is as it always is: only what the standard library tells it differs.
const (
	clockRead = "sec, nsec, mono := runtimeNow()\n"
	clockStep = clockRead + "\tsec += Ahead.Load()\n"
	clockTime = `package time

import "internal/runtime/atomic"

// Ahead is how many seconds the clock is ahead of the right time.
var Ahead atomic.Int64
`
	clockMain = `package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func init() {
	steps := make(chan os.Signal, 8)
	signal.Notify(steps, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for s := range steps {
			if s == syscall.SIGUSR1 {
				time.Ahead.Add(60)
			} else {
				time.Ahead.Add(-60)
			}
		}
	}()
}
`
)

// BuildWithClock builds a program whose clock on the wall SIGUSR1 sets forward
// by a minute, and SIGUSR2 back; the clock that only goes forward is left alone,
// as when a machine's clock is set. It takes a minute when it is done first,
// for all of the standard library is built anew.
func BuildWithClock(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(folder, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	run := func(args ...string) string {
		out, err := exec.Command("go", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", args[0], err, out)
		}
		return strings.TrimSpace(string(out))
	}
	library, module := filepath.Join(run("env", "GOROOT"), "src", "time"), run("list", "-m", "-f", "{{.Dir}}")
	now, err := os.ReadFile(filepath.Join(library, "time.go"))
	if err != nil || strings.Count(string(now), clockRead) != 1 {
		t.Fatalf("time.Now of this Go is another one than this was written for (%v): see clockRead", err)
	}
	overlay, _ := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(library, "time.go"):      write("time.go", strings.Replace(string(now), clockRead, clockStep, 1)),
		filepath.Join(library, "ahead.go"):     write("ahead.go", clockTime),
		filepath.Join(module, "clocksteps.go"): write("clocksteps.go", clockMain),
	}})
	built := filepath.Join(folder, "gatehouse")
	run("build", "-overlay", write("overlay.json", string(overlay)), "-o", built, "gatehouse")
	return built
}
