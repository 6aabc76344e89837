package users

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// workerArg makes the test program what the gateway runs beside itself.
const workerArg = "serve-hashes"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == workerArg {
		if err := ServeHashes(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// outside returns a Process with this program for its command, and its log.
func outside(t testing.TB, command ...string) (*Process, *bytes.Buffer) {
	t.Helper()
	if len(command) == 0 {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		command = []string{self, workerArg}
	}
	log := &bytes.Buffer{}
	p, err := NewProcess(ProcessConfig{Command: command, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, log
}

func hashOf(t testing.TB, password string) PasswordHash {
	t.Helper()
	line, err := Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseHash(line)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// pids are those of the idle workers.
func (p *Process) pids() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []int
	for _, w := range p.idle {
		all = append(all, w.cmd.Process.Pid)
	}
	return all
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for range 500 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestProcessMatches(t *testing.T) {
	p, _ := outside(t)
	bcrypt, err := ParseHash("$2a$04$zzzzzzzzzzzzzzzzzzzzzuwOoO8bLBQAmNSsm3OHgS4.dRpNu6nFq")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hash     PasswordHash
		password string
		want     bool
	}{
		{hashOf(t, "correct horse"), "correct horse", true},
		{hashOf(t, "correct horse"), "correct horsf", false},
		{hashOf(t, "zażółć \" \\ 雪"), "zażółć \" \\ 雪", true},
		{hashOf(t, strings.Repeat("long", 200)), strings.Repeat("long", 200), true},
		{defaultShape.dummy(), "correct horse", false},
		{shape{cost: minBcryptCost}.dummy(), "correct horse", false},
		{bcrypt, "correct horse", bcrypt.matches("correct horse")},
	} {
		got, err := p.matches(t.Context(), c.hash, c.password)
		if got != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.hash.line(), got, err)
		}
	}
	if n := len(p.pids()); n != 1 {
		t.Errorf("one after the other took %d processes", n)
	}
}

func TestA07HashesGiveWay(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("priorities are set on Linux")
	}
	p, _ := outside(t)
	hash := hashOf(t, "x")
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { _, _ = p.matches(t.Context(), hash, "x") })
	}
	both.Wait()
	pids := p.pids()
	if len(pids) == 0 {
		t.Fatal("nothing hashed outside")
	}
	for _, pid := range pids {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*")
		if len(tasks) < 2 {
			t.Fatalf("process %d has %d threads", pid, len(tasks))
		}
		for _, task := range tasks {
			id, _ := strconv.Atoi(filepath.Base(task))
			if had, err := syscall.Getpriority(syscall.PRIO_PROCESS, id); err != nil || had != 1 {
				t.Errorf("thread %s: kernel priority %d (%v), want 1, the lowest", task, had, err)
			}
		}
		score, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/oom_score_adj")
		if err != nil || strings.TrimSpace(string(score)) != "1000" {
			t.Errorf("process %d: when memory runs out: %q, %v", pid, score, err)
		}
		env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil || len(env) > 0 {
			t.Errorf("process %d has an environment of %d bytes, %v", pid, len(env), err)
		}
	}
}

func TestProcessEnds(t *testing.T) {
	t.Run("closed", func(t *testing.T) {
		p, _ := outside(t)
		if _, err := p.matches(t.Context(), hashOf(t, "x"), "x"); err != nil {
			t.Fatal(err)
		}
		pid := p.pids()[0]
		p.Close()
		if !gone(pid) {
			t.Error("it is still there")
		}
		if ok, err := p.matches(t.Context(), hashOf(t, "x"), "x"); !ok || err != nil || len(p.pids()) != 0 {
			t.Errorf("a hash under way: %v, %v, and %d processes stayed", ok, err, len(p.pids()))
		}
	})
	t.Run("idle", func(t *testing.T) {
		p, _ := outside(t)
		p.keep = 300 * time.Millisecond
		if _, err := p.matches(t.Context(), hashOf(t, "x"), "x"); err != nil {
			t.Fatal(err)
		}
		pid := p.pids()[0]
		eventually(t, "its end", func() bool { return gone(pid) })
		if n := len(p.pids()); n != 0 {
			t.Errorf("%d processes are kept", n)
		}
	})
	t.Run("idle, as the next comes", func(t *testing.T) {
		p, _ := outside(t)
		hash := hashOf(t, "x")
		if _, err := p.matches(t.Context(), hash, "x"); err != nil {
			t.Fatal(err)
		}
		retiring := p.idle[0]
		retiring.retire.Stop() // its time is over; forget is about to be called
		if ok, err := p.matches(t.Context(), hash, "x"); !ok || err != nil || p.pids()[0] == retiring.cmd.Process.Pid {
			t.Errorf("asked of one that is about to end: %v, %v", ok, err)
		}
		p.forget(retiring)
		if n := len(p.pids()); n != 1 {
			t.Errorf("%d processes are kept", n)
		}
	})
	t.Run("killed", func(t *testing.T) {
		p, _ := outside(t)
		hash := hashOf(t, "x")
		if _, err := p.matches(t.Context(), hash, "x"); err != nil {
			t.Fatal(err)
		}
		pid := p.pids()[0]
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if ok, err := p.matches(t.Context(), hash, "x"); ok || err == nil {
			t.Errorf("by a process that was killed: %v, %v", ok, err)
		}
		if ok, err := p.matches(t.Context(), hash, "x"); !ok || err != nil || p.pids()[0] == pid {
			t.Errorf("afterwards: %v, %v", ok, err)
		}
	})
	t.Run("the request is gone", func(t *testing.T) {
		p, _ := outside(t)
		long := shape{memory: maxArgonMemory, time: maxArgonTime, threads: 1, saltLen: 16, keyLen: 32}.dummy() // seconds
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		began := time.Now()
		if ok, err := p.matches(ctx, long, "x"); ok || !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", ok, err)
		}
		if took := time.Since(began); took > 2*time.Second || len(p.pids()) != 0 {
			t.Errorf("it took %v and left %d processes", took, len(p.pids()))
		}
	})
}

func TestProcessThatCannotStart(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	p, log := outside(t, program, workerArg)
	hash := hashOf(t, "x")
	hashes := func(times, said int) {
		t.Helper()
		for range times {
			if ok, err := p.matches(t.Context(), hash, "x"); !ok || err != nil {
				t.Errorf("it is not hashed here instead: %v, %v", ok, err)
			}
		}
		if n := strings.Count(log.String(), "hashes passwords at low priority"); n != said {
			t.Errorf("said %d times, want %d:\n%s", n, said, log)
		}
	}
	hashes(2, 1)
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	hashes(1, 1)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	p.forget(p.idle[0])
	hashes(2, 2)
	if _, err := NewProcess(ProcessConfig{Log: p.cfg.Log}); err == nil {
		t.Error("one without a command is taken")
	}
}

func TestServeHashesRefuses(t *testing.T) {
	for _, in := range []string{"hunter2\n", `{"hash":"hunter2","password":"x"}` + "\n", `{"hash":`} {
		var out bytes.Buffer
		err := ServeHashes(strings.NewReader(in), &out)
		if err == nil || out.Len() > 0 || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, %q", in, err, &out)
		}
	}
	if err := ServeHashes(strings.NewReader(""), nil); err != nil {
		t.Errorf("at the end: %v", err)
	}
}
