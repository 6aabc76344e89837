// Package keys holds the built program to what it promises of issuers that
// publish their keys at a URL.
package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/test/loopback"
	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

// issuer is one that publishes its keys on loopback, and can be down.
type issuer struct {
	URL string

	mu        sync.Mutex
	server    *httptest.Server // nil: down
	addr      string
	published []*key
	asked     []string
}

// key is a key of an issuer.
type key struct {
	kid     string
	private *ecdsa.PrivateKey
}

func newKey(t testing.TB, kid string) *key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key{kid, private}
}

// newIssuer makes an issuer that is down until it is started.
func newIssuer(t *testing.T) *issuer {
	t.Helper()
	addr := loopback.Address()
	i := &issuer{addr: addr, URL: "http://" + addr}
	t.Cleanup(i.stop)
	return i
}

func (i *issuer) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", i.addr)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(i.serve))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.server = server
}

func (i *issuer) stop() {
	i.mu.Lock()
	server := i.server
	i.server = nil
	i.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

func (i *issuer) publish(keys ...*key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published = keys
}

// times is how often the path was asked for so far.
func (i *issuer) times(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(i.asked), func(s string) bool { return s != path }))
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, r.URL.Path)
	switch r.URL.Path {
	case "/jwks.json":
		set := []any{map[string]any{"kty": "oct", "k": "AAAA"}} // none of ours to use
		for _, k := range i.published {
			point, err := k.private.PublicKey.Bytes()
			if err != nil {
				panic(err)
			}
			b64 := base64.RawURLEncoding.EncodeToString
			set = append(set, map[string]any{"kty": "EC", "crv": "P-256", "kid": k.kid, "use": "sig", "alg": "ES256", "x": b64(point[1:33]), "y": b64(point[33:])})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": set})
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/jwks.json"})
	default:
		http.NotFound(w, r)
	}
}

// token is a good one of an issuer whose `iss` is that.
func (k *key) token(t testing.TB, iss string) string {
	t.Helper()
	signer, err := auth.NewSigningKey(k.kid, "ES256", k.private)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	text, err := auth.Sign(signer, "JWT", map[string]any{"iss": iss, "aud": "api", "sub": "alice", "iat": now - 1, "exp": now + 600})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const configuration = `server: {listen: "127.0.0.1:0", drain_timeout: 5s}
admin: {listen: "127.0.0.1:0", token: "${ADMIN_TOKEN}"}
store: {url: "${STORE}"}
issuers:
  - {name: main, issuer: https://auth.example.com, audiences: [api], keys: [{kid: hs, algorithm: HS256, secret: "b7Kq0vXw3NfZr8TjYd5LhGm2CsPa9EuQ"}]}
  - {name: afar, issuer: "${ISS}", audiences: [api], ${KEYS}}
defaults: {upstream: "${UPSTREAM}", auth: bearer}
routes:
  - {name: open, match: /open/, auth: none}
  - {name: main, match: /main/, issuers: [main]}
  - {name: afar, match: /afar/, issuers: [afar]}
`

// kinds are the ways to say where keys are.
var kinds = map[string]func(i *issuer) (iss, keys string){
	"jwks_url": func(i *issuer) (iss, keys string) {
		return "https://idp.example.com", "jwks_url: " + i.URL + "/jwks.json"
	},
	"discovery": func(i *issuer) (iss, keys string) { return i.URL, "discovery: true" },
}

// world is a gateway that takes tokens of an issuer.
type world struct {
	*rig.Gateway
	iss string
}

// setup is how the gateway is to be started.
func setup(store, upstream, iss, keys string) rig.Config {
	return rig.Config{
		YAML: strings.Replace(configuration, "${KEYS}", keys, 1),
		Env:  map[string]string{"ADMIN_TOKEN": rig.AdminToken, "STORE": store, "UPSTREAM": upstream, "ISS": iss},
	}
}

// ask sends a request with that token to the issuer's route.
func (w *world) ask(t testing.TB, k *key) rig.Answer {
	t.Helper()
	return w.Send(t, rig.Get("/afar/", "Authorization: Bearer "+k.token(t, w.iss)))
}

func (w *world) eventually(t *testing.T, k *key, status int) {
	t.Helper()
	rig.Eventually(t, fmt.Sprintf("%d for a token of %s", status, k.kid), func() bool { return w.ask(t, k).Status == status })
}

// metric is the value of a metric of the issuer.
func (w *world) metric(t *testing.T, name string) (value float64) {
	t.Helper()
	text := w.AdminCall(t, "GET", "/metrics", "").Body
	_, line, ok := strings.Cut(text, name+`{issuer="afar"} `)
	if _, err := fmt.Sscan(line, &value); !ok || err != nil {
		t.Fatalf("there is no %s", name)
	}
	return value
}

func (w *world) write(t *testing.T, yaml string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.Folder, "gateway.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload puts another configuration into force.
func (w *world) reload(t *testing.T, yaml string) {
	t.Helper()
	w.write(t, yaml)
	if a := w.AdminCall(t, "POST", "/v1/reload", ""); a.Status != 200 {
		t.Fatalf("reloading: %d %s", a.Status, a.Body)
	}
}

// run runs a command with that input, and returns what it prints.
func (w *world) run(t *testing.T, cfg rig.Config, input string, args ...string) string {
	t.Helper()
	cmd := rig.Command(w.Folder, args...)
	cmd.Env = os.Environ()
	for name, value := range cfg.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdin = strings.NewReader(input)
	out, _ := cmd.CombinedOutput() // the exit status says what the text does
	return string(out)
}
