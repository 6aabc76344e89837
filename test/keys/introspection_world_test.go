package keys

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/test/loopback"
	"gatehouse/test/rig"
)

// authority is an authorization server that is asked about its tokens (RFC 7662).
type authority struct {
	URL string

	mu      sync.Mutex
	server  *httptest.Server
	answers map[string]string // to a token; others are inactive
	asked   []string
	now     int // questions under way
	peak    int
	handle  http.HandlerFunc // instead of answers; nil: none
	secret  string
}

// newAuthority starts one.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{answers: map[string]string{}, secret: "introspection-secret"}
	a.URL = "http://" + loopback.Address()
	a.start(t)
	t.Cleanup(a.stop)
	return a
}

func (a *authority) stop() {
	a.server.CloseClientConnections()
	a.server.Close()
}

func (a *authority) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", strings.TrimPrefix(a.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	_ = a.server.Listener.Close()
	a.server.Listener = l
	a.server.Start()
}

func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("token")
	id, secret, _ := r.BasicAuth()
	a.mu.Lock()
	a.asked = append(a.asked, token)
	a.now++
	a.peak = max(a.peak, a.now)
	answer, handle, wrong := a.answers[token], a.handle, id != "gatehouse" || secret != a.secret
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.now--
	}()
	switch {
	case handle != nil:
		handle(w, r)
		return
	case wrong:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case answer == "":
		answer = `{"active":false}`
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

// say has it answer so; more are members of the answer.
func (a *authority) say(token, more string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[token] = fmt.Sprintf(`{"active":true,"token_type":"Bearer","aud":"api","client_id":"app"%s}`, more)
}

// forget has it answer that the token is not good.
func (a *authority) forget(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.answers, token)
}

// does has it answer all questions like that; nil: as it should.
func (a *authority) does(handle http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handle = handle
}

// times is how often it was asked so far.
func (a *authority) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

const introspecting = `server: {listen: "127.0.0.1:0", drain_timeout: 5s}
admin: {listen: "127.0.0.1:0", token: "${ADMIN_TOKEN}"}
store: {url: "${STORE}"}
issuers:
  - {name: main, issuer: https://auth.example.com, audiences: [api], keys: [{kid: hs, algorithm: HS256, secret: "b7Kq0vXw3NfZr8TjYd5LhGm2CsPa9EuQ"}]}
  - {name: afar, issuer: "https://afar.example.com", audiences: [api], introspection: {url: "${AS}/introspect", client_id: gatehouse, client_secret: "${SECRET}" ${MORE}} ${TLS}}
defaults: {upstream: "${UPSTREAM}", auth: bearer}
routes:
  - {name: open, match: /open/, auth: none}
  - {name: main, match: /main/, issuers: [main]}
  - {name: afar, match: /afar/, issuers: [afar]}
  - {name: both, match: /both/, forward: {claims: [{claim: sub, header: X-User-Id}, {claim: email, header: X-Email}]}}
  - {name: write, match: /write/, issuers: [afar], require: {scopes: [write]}}
`

// asking is how a gateway is started that asks the authority; more are further
// values of introspection.
func asking(a *authority, upstream, more, caFile string) rig.Config {
	block := ""
	if caFile != "" {
		block = `, tls: {ca_file: "` + caFile + `"}`
	}
	return rig.Config{
		YAML: strings.NewReplacer("${MORE}", more, "${TLS}", block).Replace(introspecting),
		Env:  map[string]string{"ADMIN_TOKEN": rig.AdminToken, "STORE": "memory:", "UPSTREAM": upstream, "AS": a.URL, "SECRET": a.secret},
	}
}

// startAsking starts it.
func startAsking(t *testing.T, a *authority, more, caFile string) (*world, *rig.Upstream, rig.Config) {
	t.Helper()
	up := rig.StartUpstream(t)
	cfg := asking(a, up.URL, more, caFile)
	return &world{rig.Start(t, cfg), ""}, up, cfg
}

func (w *world) with(t testing.TB, path, token string) rig.Answer {
	t.Helper()
	return w.Send(t, rig.Get(path, "Authorization: Bearer "+token))
}

func (w *world) want(t testing.TB, path, token string, status int) {
	t.Helper()
	if a := w.with(t, path, token); a.Status != status {
		t.Errorf("%s with %.20q: %d %s, want %d", path, token, a.Status, a.Body, status)
	}
}

// withEnv is the configuration with another value of a variable.
func withEnv(cfg rig.Config, name, value string) rig.Config {
	cfg.Env = maps.Clone(cfg.Env)
	cfg.Env[name] = value
	return cfg
}

// serveTLS serves a handler by TLS, and returns where and by whose authority.
func serveTLS(t *testing.T, h http.Handler) (url, caFile string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, caFile
}
