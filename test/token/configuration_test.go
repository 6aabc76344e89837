package token_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/test/rig"
)

// check runs `gatehouse check` on a configuration and returns its status and
// what it says.
func check(t *testing.T, change ...func(*rig.Config)) (status int, says string) {
	t.Helper()
	cfg := rig.TokenService("memory:", "http://127.0.0.1:1")
	for _, each := range change {
		each(&cfg)
	}
	folder := t.TempDir()
	for name, text := range cfg.Files {
		write(t, filepath.Join(folder, name), text)
	}
	write(t, filepath.Join(folder, "gateway.yaml"), cfg.YAML)
	cmd := rig.Command(folder, "check")
	cmd.Env = append(cmd.Environ(), (&world{env: cfg.Env}).environment()...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// route is a further route, with that pattern.
func route(pattern string) func(*rig.Config) {
	return replace("routes:\n", "routes:\n  - {name: shadow, match: \""+pattern+"\", auth: none}\n")
}

// A route that would take an endpoint's requests is an error at the start,
// which names both.
func TestA15ClashOfPaths(t *testing.T) {
	t.Parallel()
	if status, says := check(t); status != 0 {
		t.Fatalf("the good configuration: %d\n%s", status, says)
	}
	for pattern, endpoint := range map[string]string{
		"/v1/login":         "envelope",
		"POST /v1/login":    "envelope",
		"GET /v1/token":     "envelope",
		"/oauth/token":      "envelope",
		"/authenticate":     "client_secret",
		"/oauth2/token":     "oauth2",
		"/auth/jwt/refresh": "password_form",
		"/ma-authentication-ms/v1/api/oauth/token/info": "jsonapi",
		"/.well-known/jwks.json":                        "oauth2",
		"/.well-known/oauth-authorization-server":       "oauth2",
	} {
		status, says := check(t, route(pattern))
		if status != 1 || !strings.Contains(says, "shadow") || !strings.Contains(says, endpoint) {
			t.Errorf("the route %s: %d\n%s", pattern, status, says)
		}
	}
	status, says := check(t, replace("{dialect: envelope, path: /v1}", "{dialect: envelope, path: /v1}\n    - {name: again, dialect: envelope, path: /v1}"))
	if status != 1 || !strings.Contains(says, "endpoints[5]") || !strings.Contains(says, "endpoints[4]") {
		t.Errorf("two endpoints on one path: %d\n%s", status, says)
	}
}

// A route for all the rest leaves the endpoints alone, and gets all the rest.
func TestA15RestOfThePaths(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", route("/"))
	for _, e := range takers {
		if a := w.Send(t, rig.Request("POST", e.path, e.good, keyLine, e.kind)); a.Status != 200 {
			t.Errorf("%s: %d %s", e.path, a.Status, a.Body)
		}
		w.up.Nothing(t)
	}
	for _, path := range []string{"/v1/other", "/v1/", "/oauth2", "/oauth2/", "/oauth2/token/", "/oauth2/token/x", "/auth/jwt/Login", "/.well-known/openid-configuration"} {
		if a := w.post(t, path, jane); a.Status != 200 || len(w.up.Take()) != 1 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, path := range []string{"/oauth2//token", "/oauth2/./token", "/oauth2%2ftoken", "/x/../oauth2/token"} {
		if a := w.post(t, path, jane+"&client_id=spa"); a.Status != 400 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		w.up.Nothing(t)
	}
}

// Without the token service nothing answers there.
func TestTokenServiceOff(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:", func(c *rig.Config) {
		before, _, _ := strings.Cut(c.YAML, "token_service:\n")
		c.YAML = before + "token_service: {}\n"
	})
	for _, e := range takers {
		w.Send(t, rig.Request("POST", e.path, e.good, keyLine, e.kind)).Refused(t, 404, "route_not_found")
	}
}

// What an operator sees of the token service: metrics, and lines of the access
// log that tell who and never what.
func TestTokenServiceShows(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	a := w.good(t)
	got := granted(t, a)
	line, raw := w.Log.Access(t, a)
	claims := part(t, got.Access, 1)
	if line["path"] != tokenPath || line["status"] != 200.0 || line["sub"] != "user-123" || line["jti"] != claims["jti"] || line["route"] == "" {
		t.Errorf("the access line is %s", raw)
	}
	bad := w.attempt(t, "nobody")
	if line, raw := w.Log.Access(t, bad); line["status"] != 400.0 || line["reason"] != "credentials_invalid" {
		t.Errorf("the access line is %s", raw)
	}
	w.post(t, "/v1/login", takers[6].good)
	w.get(t, apiPath+"/info", keyLine, bearer(got.Access))
	metrics := w.AdminCall(t, "GET", "/metrics", "").Body
	for _, series := range []string{
		`gatehouse_token_grants_total{dialect="oauth2",grant="password",result="ok"} 1`,
		`gatehouse_token_grants_total{dialect="oauth2",grant="password",result="credentials_invalid"} 1`,
		`gatehouse_token_grants_total{dialect="envelope",grant="password",result="ok"} 1`,
	} {
		if !strings.Contains(metrics, series+"\n") {
			t.Errorf("the metrics have no %s", series)
		}
	}
	w.secretless(t, got)
}
