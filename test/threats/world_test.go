// Package threats attacks the built program. Each test is named after its row
// of docs/threats.md.
package threats

import (
	"crypto"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

const (
	apiKey      = "gh_a-key-for-tests-with-many-characters"
	ordersKey   = "gh_another-key-that-opens-orders-alone-"
	endedKey    = "gh_a-key-whose-time-has-ended-long-ago-"
	secret      = "b7Kq0vXw3NfZr8TjYd5LhGm2CsPa9EuQ"
	otherSecret = "M4xT1oJz6WcVb0RyKi8HnDq5UgSe2LfA"
	issuer      = "https://auth.example.com"
	partner     = "https://partner.example.com"
)

// configuration has a route of each kind. The issuer partner has a key with
// the kid of one of main's.
const configuration = `server: {listen: "127.0.0.1:0", read_header_timeout: 2s, body_idle_timeout: 2s, drain_timeout: 5s, max_body_bytes: 1KiB}
admin: {listen: "127.0.0.1:0", token: "${ADMIN_TOKEN}"}
store: {url: "memory:"}
api_keys:
  keys:
    - {id: web, sha256: "${WEB_KEY}"}
    - {id: orders-only, sha256: "${ORDERS_KEY}", routes: [orders]}
    - {id: ended, sha256: "${ENDED_KEY}", not_after: 2020-01-01T00:00:00Z}
issuers:
  - name: main
    issuer: https://auth.example.com
    audiences: [api]
    keys:
      - {kid: hs, algorithm: HS256, secret: "${SECRET}"}
      - {kid: rs, algorithm: RS256, public_key_file: rs.pem}
      - {kid: ps, algorithm: PS256, public_key_file: rs.pem}
      - {kid: es, algorithm: ES256, public_key_file: es.pem}
      - {kid: es384, algorithm: ES384, public_key_file: es384.pem}
      - {kid: ed, algorithm: EdDSA, public_key_file: ed.pem}
    renew: {after: 0, max_session: 2h}
  - name: partner
    issuer: https://partner.example.com
    audiences: [api]
    keys: [{kid: hs, algorithm: HS256, secret: "${OTHER_SECRET}"}]
defaults:
  upstream: "${UPSTREAM}"
  forward: {claims: [{claim: sub, header: x-user-ID}, {claim: email, header: X-User-Email}, {claim: realm.roles, header: X-User-Roles, format: csv}]}
routes:
  - {name: open, match: /open/, auth: none}
  - {name: orders, match: /orders/, issuers: [main], renew: true}
  - {name: admin, match: /admin/, issuers: [main], require: {claims: [{claim: roles, any_of: [admin]}]}}
  - {name: both, match: /both/}
  - {name: bearer, match: /bearer/, auth: bearer}
  - {name: key, match: /key/, auth: api_key}
  - {name: any, match: /any/, auth: any}
  - {name: strip, match: /api/v1/, auth: none, strip_prefix: /api}
  - {name: ws, match: /ws/, auth: bearer, websocket: true}
  - {name: hosted, match: tenant.example/hosted/, auth: none}
  - {name: posted, match: POST /posted/, auth: none}
`

// world is what the tests attack: one gateway and its upstream.
type world struct {
	*rig.Gateway
	up *rig.Upstream
}

func config(upstream string) rig.Config {
	pairs := rig.KeyPairs()
	return rig.Config{
		YAML: configuration,
		Files: map[string]string{
			"rs.pem": rig.PublicPEM(pairs["RSA"]), "es.pem": rig.PublicPEM(pairs["P-256"]),
			"es384.pem": rig.PublicPEM(pairs["P-384"]), "ed.pem": rig.PublicPEM(pairs["Ed25519"]),
		},
		Env: map[string]string{
			"UPSTREAM": upstream, "ADMIN_TOKEN": rig.AdminToken, "SECRET": secret, "OTHER_SECRET": otherSecret,
			"WEB_KEY": rig.Hash(apiKey), "ORDERS_KEY": rig.Hash(ordersKey), "ENDED_KEY": rig.Hash(endedKey),
		},
	}
}

// shared is the world of all tests but those that need one of their own. They
// use it one after the other, so that what its upstream receives is theirs.
var shared = sync.OnceValues(func() (*world, error) {
	folder, err := os.MkdirTemp("", "gatehouse-threats-")
	if err != nil {
		return nil, err
	}
	up := rig.NewUpstream()
	g, err := rig.New(folder, config(up.URL))
	if err != nil {
		return nil, err
	}
	_ = os.RemoveAll(folder) // it was read; its watcher keeps what is in force
	return &world{g, up}, nil
})

func attack(t *testing.T) *world {
	t.Helper()
	w, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	w.WaitReady(t)
	w.up.Take()
	return w
}

// own is a world for one test; change says how its configuration differs.
func own(t *testing.T, change func(*rig.Config)) *world {
	t.Helper()
	up := rig.StartUpstream(t)
	cfg := config(up.URL)
	if change != nil {
		change(&cfg)
	}
	return &world{rig.Start(t, cfg), up}
}

// replace changes a configuration's text, which must be in it.
func replace(old, replacement string) func(*rig.Config) {
	return func(c *rig.Config) {
		if !strings.Contains(c.YAML, old) {
			panic(fmt.Sprintf("the configuration has no %q", old))
		}
		c.YAML = strings.Replace(c.YAML, old, replacement, 1)
	}
}

// claims are those of a good token, changed as asked; a nil value removes one.
func claims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{
		"iss": issuer, "aud": "api", "sub": "alice", "iat": now - 1, "exp": now + 600,
		"jti": fmt.Sprintf("t%d", time.Now().UnixNano()),
	}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// token is a good token of main, changed as asked.
func token(t testing.TB, changes map[string]any) string {
	t.Helper()
	return tokenBy(t, "hs", "HS256", changes)
}

// tokenBy is token with another of main's keys.
func tokenBy(t testing.TB, kid, algorithm string, changes map[string]any) string {
	t.Helper()
	key, err := signer(kid, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	text, err := auth.Sign(key, "JWT", claims(changes))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func signer(kid, algorithm string) (*auth.Key, error) {
	if algorithm == "HS256" {
		return auth.NewSecretKey(kid, algorithm, []byte(secret))
	}
	name := map[string]string{"RS": "RSA", "PS": "RSA", "Ed": "Ed25519", "ES": "P-256"}[algorithm[:2]]
	if algorithm == "ES384" {
		name = "P-384"
	}
	var private crypto.Signer = rig.KeyPairs()[name]
	return auth.NewSigningKey(kid, algorithm, private)
}

// bearer is the header line with a token.
func bearer(token string) string { return "Authorization: Bearer " + token }

const keyLine = "Api-Key: " + apiKey

// control sends a good request, so that a test which finds all refused knows
// that not everything is.
func (w *world) control(t *testing.T) {
	t.Helper()
	if a := w.Send(t, rig.Get("/orders/1", keyLine, bearer(token(t, nil)))); a.Status != 200 {
		t.Fatalf("a good request: %d %s", a.Status, a.Body)
	}
	w.up.Last(t)
}

// tries are requests that must not get through.
type try struct {
	name, raw string
	status    int
	code      string
}

// refused sends each request, and checks the answer, that the upstream got
// nothing of it, and that nothing behind it is taken for a request.
func (w *world) refused(t *testing.T, tries ...try) {
	t.Helper()
	w.control(t)
	for _, try := range tries {
		t.Run(try.name, func(t *testing.T) {
			all := w.SendAll(t, try.raw)
			if len(all) != 1 {
				t.Fatalf("%d answers to %.300q, want 1: %.300v", len(all), try.raw, all)
			}
			all[0].Refused(t, try.status, try.code)
			w.up.Nothing(t)
			if all[0].Status >= 500 && try.status < 500 {
				t.Errorf("a fault of the client's was answered %d", all[0].Status)
			}
		})
	}
}

// forged is a token that must not be believed.
type forged struct{ name, token, code string }

// untrusted sends each token to a route of main's: the answer is 401 with that
// code.
func (w *world) untrusted(t *testing.T, all ...forged) {
	t.Helper()
	var tries []try
	for _, f := range all {
		tries = append(tries, try{f.name, rig.Get("/orders/1", keyLine, bearer(f.token)), 401, f.code})
	}
	w.refused(t, tries...)
}
