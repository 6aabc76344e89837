package gateway

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/config"
)

const usersFile = `- {id: u1, username: jane, password_hash: "$argon2id$v=19$m=19456,t=2,p=1$aN6/iLvoQQ2YlkFR5wm80w$2eKBf06bd5uXyjK3d+UTBP/jbpYHY9c1JH/hyrqTWRM"}
`

// service is a configuration with a token service; more goes under it.
func service(t *testing.T, files map[string]string, more string) *config.Config {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Parse(filepath.Join(folder, "gateway.yaml"), []byte(`
issuers:
  - name: main
    issuer: https://auth.example.com
    audiences: [api]
    keys: [{kid: k1, algorithm: HS256, secret: "sd8f7g6h5j4k3l2m1n0bvcxzqwertyuiop"}]
    renew: {max_session: 12h}
token_service:
  issuer: main
  audience: api
  max_session: 4h
`+more), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// A session ends when the token service says so, by whatever way it goes on;
// its revocation is remembered as long, also while nothing is refreshed.
func TestMaxSessionBoundsRenewalAndOutlivesRefreshing(t *testing.T) {
	for _, more := range []string{"", "  refresh_ttl: 0\n"} {
		cfg := service(t, nil, more+"  endpoints: [{dialect: oauth2, path: /oauth2}]\n")
		issuers, err := Issuers(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if i := issuers[0]; i.Renew.MaxSession != 4*time.Hour || i.SessionLife != 4*time.Hour {
			t.Errorf("%q: renewed for %s, revoked for %s", more, i.Renew.MaxSession, i.SessionLife)
		}
	}
}

func TestCheckOfATokenService(t *testing.T) {
	two := usersFile + `- {id: u2, username: Jane, email: x@y.example, password_hash: "$argon2id$v=19$m=1,t=0,p=1$YWJj$YWJj"}` + "\n"
	for _, test := range []struct {
		what  string
		files map[string]string
		more  string
		want  []string
	}{
		{"users", map[string]string{"users.yaml": two}, "  users: [{file: users.yaml}]\n  endpoints: [{dialect: envelope, path: /v1}]\n", []string{
			"users.yaml:2:22: [1].username: is a login name of user 1 too", "users.yaml:2:", "[1].password_hash: ",
		}},
		{
			"one id in two files",
			map[string]string{"a.yaml": usersFile, "b.yaml": strings.ReplaceAll(usersFile, "jane", "bob")},
			"  users: [{file: a.yaml}, {file: b.yaml}]\n  endpoints: [{dialect: envelope, path: /v1}]\n",
			[]string{
				"b.yaml:1:8: [0].id: is that of a user in a.yaml too",
			},
		},
		{"a client's secret", nil, "  clients: [{id: p, signing_secret: short, api_key_id: p, grants: [client_secret]}]\n  endpoints: [{dialect: client_secret, path: /}]\n", []string{
			"token_service.clients[0].signing_secret: the secret for HS256 has 5 bytes",
		}},
		{"a path that a route has", nil, "  endpoints: [{dialect: oauth2, path: /oauth2}]\nroutes: [{name: r, match: POST /oauth2/token, upstream: \"http://127.0.0.1:9\", auth: none}]\n", []string{
			`route "r": pattern "POST /oauth2/token" is a path that "oauth2" answers here`,
		}},
	} {
		t.Run(test.what, func(t *testing.T) {
			_, err := Check(service(t, test.files, test.more), nil)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
		})
	}
	warnings, err := Check(service(t, nil, "  users: [{http: {url: http://127.0.0.1:7000/v}}]\n  endpoints: [{dialect: envelope, path: /v1}]\n"), nil)
	if err != nil || !strings.Contains(strings.Join(warnings, "\n"), "token_service.users[0].http: has no lookup_url") {
		t.Errorf("%v, %q", err, warnings)
	}
}

// What has metrics of its own, which go when a reload takes it away.
func TestNames(t *testing.T) {
	cfg := service(t, nil, "  endpoints: [{dialect: oauth2, path: /oauth2}]\nroutes: [{name: r, match: /, upstream: \"http://127.0.0.1:9\", auth: none}]\n")
	if routes, issuers := names(cfg); fmt.Sprint(routes, issuers) != "[r oauth2] [main]" {
		t.Errorf("routes %q, issuers %q", routes, issuers)
	}
}

// A reload says how many passwords may be hashed at once, and lets the
// connections go by which users were asked.
func TestReloadOfATokenService(t *testing.T) {
	var open atomic.Int64
	known := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":"u1"}`) }))
	known.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	known.Start()
	t.Cleanup(known.Close)
	upstream := echo(t)
	with := func(hashes int) string {
		return yaml(upstream, fmt.Sprintf(`token_service:
  issuer: main
  audience: api
  login_limits: {max_concurrent_hashes: %d}
  users: [{http: {url: %q}}]
  endpoints: [{dialect: envelope, path: /v1}]
`, hashes, known.URL))
	}
	r := start(t, with(3))
	limit := func() int64 { return reflect.ValueOf(r.parts.hasher).Elem().FieldByName("limit").Int() }
	if u, err := r.snapshot.Load().users.Login(t.Context(), "jane", "x"); err != nil || u.ID != "u1" || open.Load() != 1 || limit() != 3 {
		t.Fatalf("%+v, %v, %d connections, %d hashes at once", u, err, open.Load(), limit())
	}
	r.write(with(5))
	r.eventually("reloaded", func() bool { return strings.Contains(r.log.String(), "configuration reloaded") })
	if limit() != 5 {
		t.Errorf("%d hashes at once", limit())
	}
	r.eventually("without a connection", func() bool { return open.Load() == 0 })
}
