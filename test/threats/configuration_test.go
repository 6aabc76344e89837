package threats

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

// check runs a verb on a configuration and returns its exit status and what it
// printed.
func check(t *testing.T, cfg rig.Config, verb string) (status int, output string) {
	t.Helper()
	folder := t.TempDir()
	files := maps.Clone(cfg.Files)
	files["gateway.yaml"] = cfg.YAML
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := rig.Command(folder, verb)
	cmd.Env = os.Environ()
	for name, value := range cfg.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// misconfigured checks that a changed configuration is refused, by `check` and
// by `serve`, with the path of what is wrong and without any secret.
func misconfigured(t *testing.T, change func(*rig.Config), path string) {
	t.Helper()
	cfg := config("http://127.0.0.1:1")
	change(&cfg)
	for _, verb := range []string{"check", "serve"} {
		status, out := check(t, cfg, verb)
		if status != 1 || !strings.Contains(out, ": "+path) {
			t.Errorf("%s: status %d, want 1 and %s:\n%s", verb, status, path, out)
		}
		for _, text := range []string{secret, otherSecret, apiKey, rig.AdminToken} {
			if strings.Contains(out, text) {
				t.Errorf("%s prints a secret:\n%s", verb, out)
			}
		}
	}
}

func TestC01C03C05K05Strict(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*rig.Config)
		path   string
	}{
		"misspelt":                {replace("{name: open, match: /open/, auth: none}", "{name: open, match: /open/, atuh: none}"), "routes[0].atuh"},
		"unknown block":           {func(c *rig.Config) { c.YAML += "jwtt: {}\n" }, "jwtt"},
		"duplicate key":           {func(c *rig.Config) { c.YAML += "server: {}\n" }, "server"},
		"duplicate in other case": {func(c *rig.Config) { c.YAML += "Server: {}\n" }, "Server"},
		"yes for a boolean":       {replace("renew: true}\n  - {name: admin", "renew: yes}\n  - {name: admin"), "routes[1].renew"},
		"number for a text":       {replace("id: web,", "id: 0123,"), "api_keys.keys[0].id"},
		"number for a hash":       {replace(`sha256: "${WEB_KEY}"`, "sha256: 0123456789"), "api_keys.keys[0].sha256"},
		"number for a header":     {replace("header: X-User-Email", "header: 1_000"), "defaults.forward.claims[1].header"},
		"underscore in a header":  {replace("header: X-User-Email", "header: X_User_Email"), "defaults.forward.claims[1].header"},
		"near name":               {replace("header: X-User-Email", "header: X-UserId"), "defaults.forward.claims[1].header"},
		"hash under two ids":      {replace("${ORDERS_KEY}", "${WEB_KEY}"), "api_keys.keys[1].sha256"},
		"octal size":              {replace("max_body_bytes: 1KiB", "max_body_bytes: 0o17"), "server.max_body_bytes"},
	} {
		t.Run(name, func(t *testing.T) { misconfigured(t, row.change, row.path) })
	}
}

func TestC02MissingFile(t *testing.T) {
	misconfigured(t, func(c *rig.Config) { delete(c.Files, "rs.pem") }, "issuers[0].keys[1].public_key_file")
	misconfigured(t, func(c *rig.Config) { c.Files["rs.pem"] = "" }, "issuers[0].keys[1].public_key_file")
	misconfigured(t, replace(`token: "${ADMIN_TOKEN}"`, "token_file: missing"), "admin.token_file")
	misconfigured(t, func(c *rig.Config) { delete(c.Env, "SECRET") }, "issuers[0].keys[0].secret")
	misconfigured(t, replace("drain_timeout: 5s", "drain_timeout: 5s, tls: {cert_file: a.pem, key_file: b.pem}"), "server.tls.cert_file")
}

func TestC10Bomb(t *testing.T) {
	misconfigured(t, func(c *rig.Config) { c.YAML += "#" + strings.Repeat("x", 1<<20) }, "")
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for _, n := range []string{"12", "23", "34", "45", "56", "67", "78"} {
		bomb += "a" + n[1:] + ": &a" + n[1:] + " [" + strings.Repeat("*a"+string(n[0]-1)+",", 9) + "x]\n"
	}
	misconfigured(t, func(c *rig.Config) { c.YAML = bomb }, "")
}

// Names that the user chose keep their case.
func TestK06CaseOfIDs(t *testing.T) {
	t.Parallel()
	w := own(t, replace("{id: orders-only,", "{id: WEB,"))
	for key, id := range map[string]string{apiKey: "web", ordersKey: "WEB"} {
		if a := w.Send(t, rig.Get("/orders/", "Api-Key: "+key, bearer(token(t, nil)))); a.Status != 200 {
			t.Errorf("%s: %d", id, a.Status)
		}
		if got := w.up.Last(t).Header.Get("X-Client-Id"); got != id {
			t.Errorf("X-Client-Id is %q, want %q", got, id)
		}
	}
}

// A value in the environment is one value, never taken apart at commas, and is
// held to what the file is held to.
func TestC04Environment(t *testing.T) {
	cfg := config("http://127.0.0.1:1")
	for set, want := range map[string]string{
		"GATEHOUSE_LOG_LEVEL=info,debug": "log.level", "GATEHOUSE_SERVER_IDLE_TIMEOUT=soon": "server.idle_timeout",
		"GATEHOUSE_LOG_ACCESS=yes": "log.access", "GATEHOUSE_STORE_URL=memory:x": "store.url",
	} {
		name, value, _ := strings.Cut(set, "=")
		cfg := rig.Config{YAML: cfg.YAML, Files: cfg.Files, Env: maps.Clone(cfg.Env)}
		cfg.Env[name] = value
		if status, out := check(t, cfg, "check"); status != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: status %d\n%s", set, status, out)
		}
	}
}

// Placeholders are for the configuration: what a request or a token brings is
// passed on as it is.
func TestC08RequestsAreNotExpanded(t *testing.T) {
	w := attack(t)
	const text = "${SECRET} ${file:/etc/passwd}"
	if a := w.Send(t, rig.Get("/orders/$%7BSECRET%7D?q=${SECRET}", keyLine, bearer(token(t, map[string]any{"sub": text})), "X-Text: "+text)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	r := w.up.Last(t)
	if r.Header.Get("X-User-Id") != text || r.Header.Get("X-Text") != text || r.RequestURI != "/orders/$%7BSECRET%7D?q=${SECRET}" {
		t.Errorf("%s %v", r.RequestURI, r.Header)
	}
}

// A route asks for credentials unless it says itself that it does not.
func TestC11DefaultsAreInherited(t *testing.T) {
	w := attack(t)
	w.refused(t,
		try{"no auth written", rig.Get("/both/"), 401, "api_key_missing"},
		try{"require in defaults", rig.Get("/admin/", keyLine, bearer(token(t, nil))), 403, "claim_forbidden"},
	)
}

func TestC09BadReload(t *testing.T) {
	t.Parallel()
	w := own(t, nil)
	cfg := config(w.up.URL)
	for _, text := range []string{cfg.YAML[:len(cfg.YAML)/2] + "\n  - {", "", strings.Replace(cfg.YAML, "auth: none", "atuh: none", 1)} {
		if err := os.WriteFile(filepath.Join(w.Folder, "gateway.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if a := w.AdminCall(t, "POST", "/v1/reload", ""); a.Status != 422 {
			t.Errorf("reloading: %d %s", a.Status, a.Body)
		}
		w.control(t)
	}
}

func TestC07ReadableSecrets(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "hs.secret"), []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	yaml := "store: {url: \"memory:\"}\nissuers: [{name: a, issuer: a, audiences: [api], keys: [{kid: k, algorithm: HS256, secret_file: hs.secret}]}]\n" +
		"routes: [{name: a, match: /, upstream: \"http://127.0.0.1:1\"}]\n"
	if err := os.WriteFile(filepath.Join(folder, "gateway.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := rig.Command(folder, "check").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "warning: gateway.yaml:2:97: issuers[0].keys[0].secret_file") || strings.Contains(string(out), secret) {
		t.Errorf("%v\n%s", err, out)
	}
	help, _ := rig.Command(folder, "token", "mint", "--help").CombinedOutput()
	for _, flag := range []string{"--secret", "--key ", "--password"} {
		if strings.Contains(string(help), flag) {
			t.Errorf("a secret can be given by the flag %s", flag)
		}
	}
}

// What a reload takes away is refused from then on, whatever was remembered.
func TestK08J29ReloadForgets(t *testing.T) {
	t.Parallel()
	w := own(t, nil)
	cfg := config(w.up.URL)
	rs := bearer(tokenBy(t, "rs", "RS256", nil))
	hs := bearer(token(t, nil))
	for range 2 {
		for _, raw := range []string{rig.Get("/orders/", keyLine, rs), rig.Get("/orders/", "Api-Key: "+ordersKey, hs)} {
			if a := w.Send(t, raw); a.Status != 200 {
				t.Fatalf("before: %d %s", a.Status, a.Body)
			}
		}
	}
	replace("    - {id: orders-only, sha256: \"${ORDERS_KEY}\", routes: [orders]}\n", "")(&cfg)
	replace("      - {kid: rs, algorithm: RS256, public_key_file: rs.pem}\n", "")(&cfg)
	if err := os.WriteFile(filepath.Join(w.Folder, "gateway.yaml"), []byte(cfg.YAML), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := w.AdminCall(t, "POST", "/v1/reload", ""); a.Status != 200 {
		t.Fatalf("reloading: %d %s", a.Status, a.Body)
	}
	w.up.Take()
	w.refused(t,
		try{"key", rig.Get("/orders/", "Api-Key: "+ordersKey, hs), 401, "api_key_invalid"},
		try{"issuer's key", rig.Get("/orders/", keyLine, rs), 401, "token_untrusted"},
	)
}
