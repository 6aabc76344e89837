package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"gatehouse/auth"
	"gatehouse/auth/users"
	"gatehouse/config"
	"gatehouse/gateway"
)

func (p *program) demo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "run a gateway in front of an echo, with curl lines to paste",
		Long: "demo needs nothing and leaves nothing behind: it starts an upstream that answers what it was asked, and a\n" +
			"gateway with fresh keys and one user in front of it, both on loopback, and prints curl lines to paste.",
		Example: "  gatehouse demo",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.runDemo(cmd.Context()) },
	}
}

// demoConfig is the demo's gateway.yaml. Its blanks are the two addresses, the
// admin token, the API key's hash, the private key, the echo's address and the
// users file.
const demoConfig = `
server: {listen: %q}
admin: {listen: %q, token: %q}
store: {url: "memory:"}
api_keys:
  keys: [{id: demo-app, sha256: "%x"}]
issuers:
  - name: demo
    issuer: https://demo.example
    audiences: [demo]
    keys: [{kid: demo, algorithm: ES256, private_key: %q}]
    renew: {after: 0.5, max_session: 12h}
routes:
  - name: echo
    match: /
    upstream: http://%s
    renew: true
    forward:
      claims:
        - {claim: sub, header: X-User-Id}
        - {claim: email, header: X-User-Email}
        - {claim: roles, header: X-User-Roles, format: csv}
token_service:
  issuer: demo
  audience: demo
  users: [{file: %q}]
  clients: [{id: demo-web, grants: [password, refresh_token]}]
  endpoints: [{dialect: oauth2, path: /oauth2}]
`

// demoUser is the demo's users file. Its blank is the password's hash.
const demoUser = `- {id: alice, username: alice, email: alice@example.com, password_hash: %q, claims: {roles: [admin, staff]}}
`

// demo is what the curl lines need.
type demo struct {
	config     *config.Config
	apiKey     string
	token      string
	session    string
	adminToken string
	password   string
}

// newDemo makes the secrets of a demo, and the configuration with them. The
// users file is there until the gateway is made.
func newDemo(upstream, usersFile string, now time.Time) (*demo, error) {
	d := &demo{session: rand.Text(), adminToken: rand.Text(), password: rand.Text()[:12]}
	var sum [32]byte
	d.apiKey, sum = auth.NewAPIKeySecret()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	hash, err := users.Hash(d.password)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(usersFile, fmt.Appendf(nil, demoUser, hash), 0o600); err != nil {
		return nil, err
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	text := fmt.Sprintf(demoConfig, freeAddress("8080"), freeAddress("9090"), d.adminToken, sum, key, upstream, usersFile)
	if d.config, err = config.Parse("demo", []byte(text), nil); err != nil {
		return nil, err
	}
	issuers, err := gateway.Issuers(context.Background(), d.config, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	// Past half of its life, so that the first answer renews it.
	begun := now.Add(-40 * time.Minute).Unix()
	d.token, err = auth.Sign(issuers[0].Keys.Signer(), "JWT", map[string]any{
		"iss": "https://demo.example", "aud": "demo", "sub": "alice", "email": "alice@example.com", "roles": []string{"admin", "staff"},
		"iat": begun, "nbf": begun, "auth_time": begun, "exp": now.Add(20 * time.Minute).Unix(), "jti": rand.Text(), "sid": d.session,
	})
	return d, err
}

// freeAddress is the port on loopback, or any other where that is taken.
func freeAddress(port string) string {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return "127.0.0.1:" + port
}

func (p *program) runDemo(ctx context.Context) error {
	ctx, cancel := untilSignalled(ctx)
	defer cancel()
	upstream, err := newEcho()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "gatehouse-demo-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	d, err := newDemo(upstream.address, filepath.Join(folder, "users.yaml"), p.now())
	if err != nil {
		return err
	}
	// Before the lines are printed the log would only be in their way.
	log := gateway.NewLog(config.Log{Level: "warn", Format: "text"}, p.Err)
	defer log.Close()
	gw, err := gateway.New(ctx, gateway.Config{Config: d.config, Log: log, Build: build(), HashCommand: hashCommand()})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(upstream.serve)
	group.Go(func() error {
		defer upstream.close()
		return gw.Run(ctx)
	})
	group.Go(func() error {
		if !ready(ctx, gw) {
			return nil
		}
		d.print(p, gw)
		log.Level.Set(slog.LevelInfo)
		return nil
	})
	return group.Wait()
}

// ready waits until the gateway is ready; it is false when that will not be.
func ready(ctx context.Context, gw *gateway.Gateway) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !gw.Ready() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// print prints the lines. Each stands by itself and quotes what a shell could
// take for its own.
func (d *demo) print(p *program, gw *gateway.Gateway) {
	data, admin := "http://"+gw.Addr().String(), "http://"+gw.AdminAddr().String()
	call := fmt.Sprintf("curl -i -H 'Api-Key: %s' -H 'Authorization: Bearer %s' '%s/hello?from=demo'", d.apiKey, d.token, data)
	loggedIn := fmt.Sprintf(`curl -i -H 'Api-Key: %s' -H "Authorization: Bearer $access" '%s/hello'`, d.apiKey, data)
	fmt.Fprintf(p.Out, `gatehouse is on %s, in front of an echo; the admin API is on %s.
Nothing is kept: Ctrl-C ends it all. Paste the lines into another terminal, in their order.

`, data, admin)
	for i, step := range []struct{ what, line string }{
		{"no credentials: 401, and why (api_key_missing)", fmt.Sprintf("curl -i '%s/hello'", data)},
		{"an API key is not enough here: 401 (token_missing)", fmt.Sprintf("curl -i -H 'Api-Key: %s' '%s/hello'", d.apiKey, data)},
		{"both: 200; the echo shows what the upstream was told, and because the token is past half of its\n" +
			"   life, the answer's Authorization header has a renewed one", call},
		{"the session ends: revoke it, and with it all that was renewed in it", fmt.Sprintf(
			`curl -i -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"kind":"sid","id":"%s"}' '%s/v1/revocations'`,
			d.adminToken, d.session, admin)},
		{"the same call as before: 401 (token_revoked)", call},
		{"log in: an access token and a refresh token", fmt.Sprintf(
			`answer=$(curl -s -d 'grant_type=password&client_id=demo-web&username=alice&password=%s' '%s/oauth2/token'); echo "$answer"`,
			d.password, data)},
		{"call with the access token: 200", `access=$(echo "$answer" | ` + member("access_token") + `); ` + loggedIn},
		{"refresh: both tokens are new, and the old refresh token is used up", fmt.Sprintf(
			`answer=$(curl -s -d 'grant_type=refresh_token&client_id=demo-web' -d "refresh_token=$(echo "$answer" | %s)" '%s/oauth2/token'); echo "$answer"`,
			member("refresh_token"), data)},
		{"log out with the access token from before the refresh: the whole session ends", fmt.Sprintf(
			`curl -i -d client_id=demo-web -d "token=$access" '%s/oauth2/revoke'`, data)},
		{"call with the access token that the refresh gave: 401 (token_revoked)", `access=$(echo "$answer" | ` + member("access_token") + `); ` + loggedIn},
	} {
		fmt.Fprintf(p.Out, "%d. %s\n\n   %s\n\n", i+1, step.what, step.line)
	}
}

// member is a command that takes a text out of flat JSON.
func member(name string) string { return `sed 's/.*"` + name + `":"\([^"]*\)".*/\1/'` }
