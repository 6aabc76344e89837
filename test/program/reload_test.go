package program

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/test/rig"
)

// write replaces a file's content.
func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestReloadBySignal(t *testing.T) {
	t.Parallel()
	u := rig.StartUpstream(t)
	g := start(t, t.TempDir(), rig.Config{YAML: configured("memory:", "", u.URL, "old")})
	// The file is as it was, so that only the signal can be the cause.
	g.Signal(t, syscall.SIGHUP)
	g.Log.Wait(t, "configuration reloaded")
	want(t, g, "/old", 200)
}

func TestReloadByFile(t *testing.T) {
	t.Parallel()
	u := rig.StartUpstream(t)
	before, after := configured("memory:", "", u.URL, "old"), configured("memory:", "", u.URL, "new")
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, folder string) // before the file is first written
		change  func(t *testing.T, folder string)
	}{
		{
			"written in place", func(*testing.T, string) {},
			func(t *testing.T, folder string) { write(t, filepath.Join(folder, "gateway.yaml"), after) },
		},
		{
			"replaced, as editors do", func(*testing.T, string) {},
			func(t *testing.T, folder string) {
				write(t, filepath.Join(folder, "gateway.yaml~"), after)
				rename(t, filepath.Join(folder, "gateway.yaml~"), filepath.Join(folder, "gateway.yaml"))
			},
		},
		{
			"..data swapped, as Kubernetes does",
			func(t *testing.T, folder string) {
				if err := os.Mkdir(filepath.Join(folder, "..1"), 0o700); err != nil {
					t.Fatal(err)
				}
				symlink(t, "..1", filepath.Join(folder, "..data"))
				symlink(t, "..data/gateway.yaml", filepath.Join(folder, "gateway.yaml"))
				write(t, filepath.Join(folder, "..1", "gateway.yaml"), "")
			},
			func(t *testing.T, folder string) {
				if err := os.Mkdir(filepath.Join(folder, "..2"), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(folder, "..2", "gateway.yaml"), after)
				symlink(t, "..2", filepath.Join(folder, "..data_tmp"))
				rename(t, filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data"))
				if err := os.RemoveAll(filepath.Join(folder, "..1")); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			c.prepare(t, folder)
			g := start(t, folder, rig.Config{YAML: before})
			want(t, g, "/old", 200)
			want(t, g, "/new", 404)
			c.change(t, folder)
			rig.Eventually(t, "reloaded", func() bool { return answers(t, g, "/new", 200) })
			want(t, g, "/old", 404)
		})
	}
}

// A key's file is part of the configuration.
func TestReloadByKeyFile(t *testing.T) {
	t.Parallel()
	u := rig.StartUpstream(t)
	const first, second = "the first secret, of more than 32 bytes", "the second secret, of more than 32 bytes"
	yaml := strings.Replace(configured("memory:", "", u.URL, "orders"), "auth: none", "auth: bearer", 1) +
		"issuers:\n  - {name: main, issuer: https://a.example, audiences: [api], keys: [{kid: k, algorithm: HS256, secret_file: jwt.secret}]}\n"
	g := start(t, t.TempDir(), rig.Config{YAML: yaml, Files: map[string]string{"jwt.secret": first}})
	with := func(secret string) func() bool {
		key, err := auth.NewSecretKey("k", "HS256", []byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		token, err := auth.Sign(key, "JWT", map[string]any{
			"iss": "https://a.example", "aud": "api", "sub": "alice", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return func() bool { return g.Send(t, rig.Get("/orders", "Authorization: Bearer "+token)).Status == 200 }
	}
	if !with(first)() || with(second)() {
		t.Fatal("the wrong secret is in force")
	}
	write(t, filepath.Join(g.Folder, "jwt.secret"), second)
	rig.Eventually(t, "reloaded", with(second))
	if with(first)() {
		t.Error("a token of the key that is gone is still accepted")
	}
}

// A bad file changes nothing, and shows in log, metric, status and readiness.
func TestC09BadFileChangesNothing(t *testing.T) {
	t.Parallel()
	u := rig.StartUpstream(t)
	good := configured("memory:", "", u.URL, "old")
	g := start(t, t.TempDir(), rig.Config{YAML: good})
	success := func(value string) bool {
		return strings.Contains(g.AdminCall(t, "GET", "/metrics", "").Body, "\ngatehouse_config_reload_success "+value+"\n")
	}
	if !success("1") {
		t.Error("the metric does not say that the first configuration is good")
	}
	write(t, filepath.Join(g.Folder, "gateway.yaml"), strings.Replace(good, "match:", "mach:", 1))
	g.Log.Wait(t, "the configuration was not accepted; the one before stays in force")
	want(t, g, "/old", 200)
	if !success("0") {
		t.Error("the metric does not say that the reload failed")
	}
	if a := g.AdminCall(t, "GET", "/v1/status", ""); !strings.Contains(a.Body, `gateway.yaml:7:17: routes[0].mach: unknown key (did you mean \"match\"?)`) {
		t.Errorf("the status does not say why: %s", a.Body)
	}
	if a := g.AdminCall(t, "GET", "/readyz", ""); a.Status != 200 || !strings.Contains(a.Body, `"degraded"`) {
		t.Errorf("/readyz is %d %s, want 200 and degraded", a.Status, a.Body)
	}
	if err := os.Remove(filepath.Join(g.Folder, "gateway.yaml")); err != nil {
		t.Fatal(err)
	}
	g.Signal(t, syscall.SIGHUP)
	want(t, g, "/old", 200)

	write(t, filepath.Join(g.Folder, "gateway.yaml"), configured("memory:", "", u.URL, "new"))
	rig.Eventually(t, "recovered", func() bool { return answers(t, g, "/new", 200) && success("1") })
}

// A request finishes on the configuration that it began with.
func TestReloadSparesRequestsUnderWay(t *testing.T) {
	t.Parallel()
	u, arrived, release := held(t)
	g := start(t, t.TempDir(), rig.Config{YAML: configured("memory:", "", u.URL, "old")})
	answer := make(chan rig.Answer)
	go func() { answer <- g.Send(t, rig.Get("/old")) }()
	<-arrived
	write(t, filepath.Join(g.Folder, "gateway.yaml"), configured("memory:", "", "http://127.0.0.1:1", "new"))
	rig.Eventually(t, "reloaded", func() bool { return answers(t, g, "/new", 502) })
	want(t, g, "/old", 404)
	release()
	if a := <-answer; a.Status != 200 || a.Body != "late, and whole\n" {
		t.Errorf("the request under way got %d %q", a.Status, a.Body)
	}
}
