package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
