package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/config"
)

func TestReload(t *testing.T) {
	upstream := echo(t)
	r := start(t, yaml(upstream, ""))
	if res := r.get("/invoices/"); res.StatusCode != 404 {
		t.Fatalf("before: %d", res.StatusCode)
	}
	if m := text(r.admin("GET", "/metrics", "")); !strings.Contains(m, "gatehouse_config_reload_success 1") {
		t.Error("the metric does not show that the first file is in force")
	}
	r.write(yaml(upstream, fmt.Sprintf("  - {name: invoices, match: /invoices/, upstream: %q, auth: none}\n", upstream)))
	r.eventually("reloaded", func() bool { return r.get("/invoices/").StatusCode == 200 })

	r.write(yaml(upstream, "  - {name: broken, mach: /}\n"))
	r.eventually("refused", func() bool { return strings.Contains(r.log.String(), `did you mean \"match\"`) })
	if res := r.get("/invoices/"); res.StatusCode != 200 {
		t.Errorf("a bad file changed what is in force: %d", res.StatusCode)
	}
	if m := text(r.admin("GET", "/metrics", "")); !strings.Contains(m, "gatehouse_config_reload_success 0") {
		t.Error("the metric does not show that the file was refused")
	}
	if s := text(r.admin("GET", "/v1/status", "")); !strings.Contains(s, "routes[1].mach") {
		t.Errorf("the status does not say why: %s", s)
	}
	if res := r.admin("POST", "/v1/reload", ""); res.StatusCode != 422 {
		t.Errorf("reloading a bad file: %d", res.StatusCode)
	}
	if res := r.admin("GET", "/readyz", ""); res.StatusCode != 200 || !strings.Contains(text(res), "degraded") {
		t.Errorf("readyz with a bad file: %d", res.StatusCode)
	}
	r.write(strings.Replace(yaml(upstream, ""), "127.0.0.1:0", "127.0.0.1:1", 1))
	r.eventually("told", func() bool { return strings.Contains(r.log.String(), `"keys":["server.listen"]`) })
	if m := text(r.admin("GET", "/metrics", "")); !strings.Contains(m, "gatehouse_config_reload_success 1") || strings.Contains(m, `route="invoices"`) {
		t.Error("the metrics do not show the file that is in force")
	}
	if s := text(r.admin("GET", "/v1/status", "")); strings.Contains(s, "mach") || strings.Contains(s, "degraded") {
		t.Errorf("the status still tells of the file before: %s", s)
	}
	// Each file was read once, however long it has been there.
	for said, times := range map[string]int{"configuration reloaded": 2, "was not accepted": 2, "take effect after a restart": 1} {
		if n := strings.Count(r.log.String(), said); n != times {
			t.Errorf("%q is logged %d times, want %d", said, n, times)
		}
	}
}

// What a reload changes besides what requests are decided by.
func TestReloadPutsIntoForce(t *testing.T) {
	upstream := echo(t)
	r := start(t, yaml(upstream, ""))
	loaded := r.loadedAt.Load()
	if err := os.WriteFile(filepath.Join(r.folder, "secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(strings.NewReplacer(
		"store:", "log: {level: debug}\nrevocation: {max_staleness: 7s}\nstore:",
		"an admin token for tests, 32 bytes", "short-token",
		fmt.Sprintf("secret: %q", secret), "secret_file: secret",
	).Replace(yaml(upstream, "")))
	r.eventually("reloaded", func() bool { return strings.Contains(r.log.String(), "configuration reloaded") })
	if limit := time.Duration(r.list.limit.Load()); limit != 7*time.Second {
		t.Errorf("the list may be %s old", limit)
	}
	if l := r.Gateway.log.Level.Level(); l != slog.LevelDebug || r.loadedAt.Load() <= loaded {
		t.Errorf("the log's level is %s, the keys are as old as the process: %t", l, r.loadedAt.Load() <= loaded)
	}
	if !strings.Contains(r.log.String(), "the token is short") {
		t.Error("what deserves a look is not told")
	}
	time.Sleep(3 * watchInterval) // in which nothing must happen
	if n := strings.Count(r.log.String(), "configuration reloaded"); n != 1 {
		t.Errorf("reloaded %d times, for one more file to be watched", n)
	}
	if err := os.WriteFile(filepath.Join(r.folder, "secret"), []byte(secret+secret), 0o600); err != nil {
		t.Fatal(err)
	}
	r.eventually("reloaded for that file", func() bool { return strings.Count(r.log.String(), "configuration reloaded") == 2 })
}

// Reloads come one after the other, and what changes during one is read again.
func TestReloadDuringAReload(t *testing.T) {
	name := filepath.Join(t.TempDir(), "gateway.yaml")
	text := []byte(yaml(echo(t), ""))
	var inside atomic.Int32
	load := func() (*config.Config, error) {
		if inside.Add(1) > 1 {
			t.Error("two at a time")
		}
		defer inside.Add(-1)
		cfg, err := config.Load(config.LoadConfig{File: name})
		text = append(text, '\n')
		time.Sleep(10 * time.Millisecond)
		return cfg, errors.Join(err, os.WriteFile(name, text, 0o600))
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(t.Context(), Config{Config: cfg, Load: load, Log: NewLog(cfg.Log, io.Discard)})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := g.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if *g.read.Load() == fingerprint(*g.watched.Load()) {
		t.Error("what was written while the file was read is taken for read")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ended); err != nil {
		t.Error(err)
	}
}

// A file that is being written is not read, and one at fault is read once.
func TestFilesAreReadWhenTheyHoldStill(t *testing.T) {
	name := filepath.Join(t.TempDir(), "gateway.yaml")
	cfg := parse(t, yaml(echo(t), ""))
	var reads atomic.Int32
	g, err := New(t.Context(), Config{Config: cfg, Log: NewLog(cfg.Log, io.Discard), Load: func() (*config.Config, error) {
		reads.Add(1)
		return nil, errors.New("it is at fault")
	}})
	if err != nil {
		t.Fatal(err)
	}
	g.watched.Store(&[]string{name})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = g.watch(ctx) }()
		time.Sleep(watchInterval / 2) // between two looks
		for size := range 10 {
			if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(watchInterval)
		}
		if n := reads.Load(); n != 0 {
			t.Errorf("read %d times while it was written", n)
		}
		time.Sleep(10 * watchInterval)
		if n := reads.Load(); n != 1 {
			t.Errorf("read %d times when it held still", n)
		}
		cancel()
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ended); err != nil {
		t.Error(err)
	}
}

// A file is another one when its size, its time or the file itself is.
func TestFingerprint(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	at := time.Unix(1_700_000_000, 0)
	write := func(name, text string, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(name, []byte(text), 0o600), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	look := func(step string) {
		t.Helper()
		print := fingerprint([]string{a, b})
		if before, ok := seen[print]; ok {
			t.Errorf("%s: as %s", step, before)
		}
		seen[print] = step
	}
	look("none")
	write(a, "one", at)
	look("a alone")
	write(b, "one", at)
	look("both")
	write(a, "three", at)
	look("another size")
	write(a, "three", at.Add(1))
	look("another time")
	write(a+".new", "seven", at.Add(1))
	if err := os.Rename(a+".new", a); err != nil {
		t.Fatal(err)
	}
	look("another file")
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	look("b alone")
}

// TestReloadOfMountedFolder swaps files as Kubernetes does: the names are links
// through `..data`, which is a link that is replaced.
func TestReloadOfMountedFolder(t *testing.T) {
	upstream := echo(t)
	r := start(t, yaml(upstream, ""))
	place := func(version, more string) {
		dir := filepath.Join(r.folder, version)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "gateway.yaml"), []byte(yaml(upstream, more)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(version, filepath.Join(r.folder, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(r.folder, "..tmp"), filepath.Join(r.folder, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	place("..1", fmt.Sprintf("  - {name: one, match: /one/, upstream: %q, auth: none}\n", upstream))
	if err := os.Symlink(filepath.Join("..data", "gateway.yaml"), filepath.Join(r.folder, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.folder, "link"), filepath.Join(r.folder, "gateway.yaml")); err != nil {
		t.Fatal(err)
	}
	r.eventually("on the first mount", func() bool { return r.get("/one/").StatusCode == 200 })
	place("..2", fmt.Sprintf("  - {name: two, match: /two/, upstream: %q, auth: none}\n", upstream))
	r.eventually("on the second mount", func() bool { return r.get("/two/").StatusCode == 200 && r.get("/one/").StatusCode == 404 })
}

// Of what was changed, what only a restart puts into force is told.
func TestFixed(t *testing.T) {
	parsed := func(text string) *config.Config {
		t.Helper()
		cfg, err := config.Parse("gateway.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	before := parsed("{}")
	for text, want := range map[string]string{
		"{}": "",
		"server: {drain_timeout: 1s, body_idle_timeout: 1s, max_body_bytes: 1KiB, trusted_proxies: [10.0.0.0/8]}": "",
		"log: {level: debug, access: false}":                                "",
		"revocation: {max_staleness: 1m}":                                   "",
		"revocation: {max_staleness: 1s}":                                   "revocation.max_staleness",
		"server: {listen: \"127.0.0.1:1\"}":                                 "server.listen",
		"server: {read_header_timeout: 1s, idle_timeout: 1s}":               "server.read_header_timeout server.idle_timeout",
		"server: {max_connections: 9}":                                      "server.max_connections",
		"server: {h2c: true}":                                               "server.h2c",
		"revocation: {max_memory: 64MiB}":                                   "revocation.max_memory",
		"server: {max_header_bytes: 8KiB}":                                  "server.max_header_bytes",
		"server: {tls: {cert_file: reload_test.go, key_file: tls_test.go}}": "server.tls",
		"admin: {listen: \"127.0.0.1:1\"}":                                  "admin.listen",
		"store: {timeout: 1s}":                                              "store",
		"log: {format: text}":                                               "log.format",
	} {
		if got := strings.Join(fixed(before, parsed(text)), " "); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestReloadWithoutFile(t *testing.T) {
	g := &Gateway{}
	if err := g.Reload(t.Context()); err == nil {
		t.Error("reloaded from nowhere")
	}
}
