// Package contract holds the built program to what it promises to those who
// call and operate it, on the embedded store and on a real Redis.
package contract

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

const (
	apiKey     = "gh_a-key-for-tests-with-many-characters"
	lostKey    = "gh_another-key-which-the-tests-revoke--"
	ordersKey  = "gh_another-key-that-opens-orders-alone-"
	endedKey   = "gh_a-key-whose-time-has-ended-long-ago-"
	secret     = "b7Kq0vXw3NfZr8TjYd5LhGm2CsPa9EuQ"
	issuerName = "https://auth.example.com"
)

const configuration = `server: {listen: "127.0.0.1:0", read_header_timeout: 1s, body_idle_timeout: 1s, drain_timeout: 5s, max_body_bytes: 1KiB}
admin: {listen: "127.0.0.1:0", token: "${ADMIN_TOKEN}"}
store: {url: "${STORE}"}
revocation: {max_staleness: "${STALENESS:-5s}", when_stale: "${WHEN_STALE:-deny}"}
api_keys:
  keys:
    - {id: web, sha256: "${WEB_KEY}"}
    - {id: lost, sha256: "${LOST_KEY}"}
    - {id: orders-only, sha256: "${ORDERS_KEY}", routes: [orders]}
    - {id: ended, sha256: "${ENDED_KEY}", not_after: 2020-01-01T00:00:00Z}
issuers:
  - name: main
    issuer: https://auth.example.com
    audiences: [api]
    keys: [{kid: hs, algorithm: HS256, secret: "${SECRET}"}]
    renew: {after: 0, max_session: 2h}
defaults: {upstream: "${UPSTREAM}"}
routes:
  - {name: open, match: /open/, auth: none}
  - {name: orders, match: /orders/, renew: true}
  - {name: plain, match: /plain/}
  - {name: bearer, match: /bearer/, auth: bearer}
  - {name: key, match: /key/, auth: api_key}
  - {name: any, match: /any/, auth: any}
  - {name: scoped, match: /scoped/, require: {scopes: [orders:read, orders:write]}}
  - {name: ruled, match: /ruled/, require: {claims: [{claim: roles, any_of: [admin, staff]}]}}
  - {name: keep, match: /keep/, forward: {authorization: keep, api_key_id: X-App}}
  - {name: slow, match: /slow/, auth: none, timeout: 300ms}
  - {name: down, match: /down/, auth: none, upstream: "http://127.0.0.1:1"}
  - {name: posted, match: POST /posted/, auth: none}
`

// world is a gateway with its upstream and store.
type world struct {
	*rig.Gateway
	up *rig.Upstream
}

func environment(store, upstream string) map[string]string {
	return map[string]string{
		"STORE": store, "UPSTREAM": upstream, "ADMIN_TOKEN": rig.AdminToken, "SECRET": secret, "WEB_KEY": rig.Hash(apiKey),
		"LOST_KEY": rig.Hash(lostKey), "ORDERS_KEY": rig.Hash(ordersKey), "ENDED_KEY": rig.Hash(endedKey),
	}
}

// start starts a gateway on that store; change may alter its configuration.
func start(t *testing.T, store string, change func(*rig.Config)) *world {
	t.Helper()
	up := rig.StartUpstream(t)
	cfg := rig.Config{YAML: configuration, Files: map[string]string{}, Env: environment(store, up.URL)}
	if change != nil {
		change(&cfg)
	}
	return &world{rig.Start(t, cfg), up}
}

// stores runs a test on each kind of store, at the same time.
func stores(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, "file:gatehouse.db")
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, storetest.StartRedis(t).URL())
	})
}

// claims are those of a good token, changed as asked; a nil value removes one.
func claims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{
		"iss": issuerName, "aud": "api", "sub": "alice", "iat": now - 1, "exp": now + 600,
		"jti": fmt.Sprintf("t%d", time.Now().UnixNano()),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// token is a good token, changed as asked.
func token(t testing.TB, changes map[string]any) string {
	t.Helper()
	key, err := auth.NewSecretKey("hs", "HS256", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.Sign(key, "JWT", claims(changes))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bearer is the header line with a token.
func bearer(token string) string { return "Authorization: Bearer " + token }

const keyLine = "Api-Key: " + apiKey

// revoke revokes by the admin API.
func (w *world) revoke(t *testing.T, body string) {
	t.Helper()
	if a := w.AdminCall(t, "POST", "/v1/revocations", body); a.Status != 201 {
		t.Fatalf("revoking %s: %d %s", body, a.Status, a.Body)
	}
}

// eventually waits until a request is answered with that status.
func (w *world) eventually(t *testing.T, raw string, status int) {
	t.Helper()
	rig.Eventually(t, fmt.Sprintf("answered %d: %.60q", status, raw), func() bool { return w.Send(t, raw).Status == status })
}

// forge changes a token's last part.
func forge(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	return token[:i] + strings.Repeat("A", 43)
}
