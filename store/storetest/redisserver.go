package storetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/test/loopback"
)

// RequireServices is the environment variable under which a service that is
// missing fails a test that needs it, instead of skipping it.
const RequireServices = "GATEHOUSE_TEST_REQUIRE_SERVICES"

// Redis is a redis-server that a test started.
type Redis struct {
	Addr string // 127.0.0.1:port
	dir  string
	file []string // of configuration, if any; it must come first
	args []string
	env  []string // added to ours
	cmd  *exec.Cmd
	// login is what [Redis.Do] says to AUTH, if anything.
	login []string
}

// StartRedis starts a redis-server without persistence on a free port; args
// are added to its command line. It ends with the test.
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	return start(t, &Redis{dir: t.TempDir(), args: append([]string{"--save", "", "--appendonly", "no"}, args...)})
}

// StartSentinel starts a sentinel with those lines of configuration.
func StartSentinel(t testing.TB, lines ...string) *Redis {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "sentinel.conf")
	check(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return start(t, &Redis{dir: dir, file: []string{file}, args: []string{"--sentinel"}})
}

func start(t testing.TB, r *Redis) *Redis {
	t.Helper()
	need(t, "redis-server", "redis-server")
	t.Cleanup(r.Kill)
	for range 5 { // another process may take the port first
		r.Addr = loopback.Address()
		if err := r.start(); err == nil {
			return r
		}
		r.Kill()
	}
	t.Fatal("redis-server does not start")
	return nil
}

// need skips a test without a program, or fails it where all must be there.
func need(t testing.TB, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	missing := program + " is missing: apt-get install " + pkg
	if os.Getenv(RequireServices) != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}

// Start starts the server again after Kill, on the same port.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	check(t, r.start())
}

func (r *Redis) start() error {
	_, port, _ := net.SplitHostPort(r.Addr)
	r.cmd = exec.Command("redis-server", slices.Concat(r.file,
		[]string{"--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--loglevel", "warning"}, r.args)...)
	r.cmd.Env = append(os.Environ(), r.env...)
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		// An answer that is an error is an answer too, of a server that wants
		// a password, say. The port must be the server's own.
		if pid, err := r.do("INFO", "server"); err == nil && !strings.Contains(pid, fmt.Sprintf("process_id:%d\r", r.cmd.Process.Pid)) {
			return errors.New("the port is another server's")
		} else if err == nil || !isNetwork(err) {
			return nil
		}
	}
	return errors.New("no answer")
}

func isNetwork(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF)
}

// Kill ends the server at once; what it held is gone.
func (r *Redis) Kill() {
	if r.cmd != nil && r.cmd.Process != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// URL is the store.url of the server.
func (r *Redis) URL() string { return "redis://" + r.Addr + "/0" }

// Signal sends the server a signal.
func (r *Redis) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	check(t, r.cmd.Process.Signal(s))
}

// Login has Do log in as a user, or with a password alone, or not at all.
func (r *Redis) Login(as ...string) { r.login = as }

// Do sends a command and returns a string, status or number of the reply as it
// is, and an array line by line.
func (r *Redis) Do(t testing.TB, args ...string) string {
	t.Helper()
	s, err := r.do(args...)
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return s
}

// Try is Do where an error is expected.
func (r *Redis) Try(args ...string) (string, error) { return r.do(args...) }

func (r *Redis) do(args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", r.Addr, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	if len(r.login) > 0 {
		if _, err := ask(conn, in, append([]string{"AUTH"}, r.login...)); err != nil {
			return "", err
		}
	}
	return ask(conn, in, args)
}

func ask(conn net.Conn, in *bufio.Reader, args []string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return "", err
	}
	return reply(in)
}

// reply reads one reply of the Redis protocol, version 2.
func reply(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, rest := line[0], strings.TrimSuffix(line[1:], "\r\n")
	switch kind {
	case '-':
		return "", errors.New(rest)
	case '$':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", err
		}
		b := make([]byte, n+2)
		_, err = io.ReadFull(in, b)
		return string(b[:n]), err
	case '*':
		n, err := strconv.Atoi(rest)
		parts := make([]string, max(0, n))
		for i := range parts {
			if parts[i], err = reply(in); err != nil {
				return "", err
			}
		}
		return strings.Join(parts, "\n"), err
	default:
		return rest, nil
	}
}
