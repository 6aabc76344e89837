//go:build unix

// Package userstest starts a PostgreSQL server for tests. It imports nothing of
// ours; a server ends with its test.
package userstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/test/loopback"
)

// requireServices is the environment variable under which a service that is
// missing fails a test that needs it, instead of skipping it.
const requireServices = "GATEHOUSE_TEST_REQUIRE_SERVICES"

// patience is how long a server may take to start.
const patience = 30 * time.Second

// Postgres is a server that a test started.
type Postgres struct {
	Addr       string // 127.0.0.1:port
	bin, data  string
	credential *syscall.Credential // whom it runs as; nil: the test's own user
	cmd        *exec.Cmd
}

// StartPostgres starts a server with an empty database on a free port. It asks
// for no password, keeps its data over Kill and Start, and ends with the test.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	p := &Postgres{bin: find(t, "postgres")}
	check(t, p.initialize(t))
	t.Cleanup(p.Kill)
	var err error
	for range 5 { // another process may take the port first
		p.Addr = loopback.Address()
		if err = p.start(); err == nil {
			return p
		}
		p.Kill()
	}
	t.Fatalf("postgres does not start: %v", err)
	return nil
}

// find returns the folder that has the server's programs. Debian keeps them out
// of PATH.
func find(t testing.TB, program string) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if path, err := exec.LookPath(program); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		missing := "PostgreSQL is missing: apt-get install postgresql"
		if os.Getenv(requireServices) != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	slices.Sort(found)
	return filepath.Dir(found[0])
}

// initialize makes the data folder. PostgreSQL refuses to run as root.
func (p *Postgres) initialize(t testing.TB) error {
	// Not t.TempDir, below whose folders another user has no way in.
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		return err
	}
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	p.data = filepath.Join(dir, "data")
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return err
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32) // digits, on a system that has users by number
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		p.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	init := p.command("initdb", "--pgdata", p.data, "--username", "gatehouse", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// command is one of the server's programs, run as its user, without what the
// environment says about other servers.
func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir = filepath.Dir(p.data)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.credential}
	return cmd
}

// Start starts the server again after Kill, on the same port.
func (p *Postgres) Start(t testing.TB) {
	t.Helper()
	check(t, p.start())
}

func (p *Postgres) start() error {
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return err
	}
	p.cmd = p.command("postgres", "-D", p.data, "-h", host, "-p", port, "-k", filepath.Dir(p.data),
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "max_connections=40")
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		// The port must be the server's own.
		got, err := p.do("select current_setting('data_directory')")
		if err == nil && got != p.data {
			return errors.New("the port is another server's")
		} else if err == nil {
			return nil
		}
	}
	return errors.New("no answer")
}

// Kill ends the server and its sessions at once, and waits until it has ended.
func (p *Postgres) Kill() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // immediate shutdown, which its children follow
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// URL is where clients find the database.
func (p *Postgres) URL() string {
	return "postgres://gatehouse@" + p.Addr + "/postgres?sslmode=disable"
}

// Do executes statements and returns the first column of the last row, as text.
func (p *Postgres) Do(t testing.TB, sql string) string {
	t.Helper()
	got, err := p.do(sql)
	check(t, err)
	return got
}

func (p *Postgres) do(sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgconn.Connect(ctx, p.URL())
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	last := ""
	for _, r := range results {
		for _, row := range r.Rows {
			last = string(row[0])
		}
	}
	return last, nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
