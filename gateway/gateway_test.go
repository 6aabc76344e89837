package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/config"
)

const secret = "Zq3t6w9zcCyF)J@NcRfUjXn2r5u8x/A%"

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// rig is a gateway that runs in this process, in front of an upstream.
type rig struct {
	*Gateway
	t      *testing.T
	folder string
	log    *logBuffer
	stop   func() error
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// yaml is a configuration with one route to the upstream; more stands behind.
func yaml(upstream, more string) string {
	return fmt.Sprintf(`server: {listen: "127.0.0.1:0", drain_timeout: 5s}
admin: {listen: "127.0.0.1:0", token: "an admin token for tests, 32 bytes"}
store: {url: "memory:"}
api_keys: {keys: [{id: web, sha256: %s}]}
issuers:
  - {name: main, issuer: https://auth.example.com, audiences: [api], keys: [{kid: k1, algorithm: HS256, secret: "%s"}], renew: {after: 0}}
routes:
  - {name: orders, match: /orders/, upstream: "%s", renew: true}
%s`, sha("web-key"), secret, upstream, more)
}

func start(t *testing.T, text string) *rig {
	t.Helper()
	r := &rig{t: t, folder: t.TempDir(), log: &logBuffer{}}
	r.write(text)
	load := func() (*config.Config, error) {
		return config.Load(config.LoadConfig{File: filepath.Join(r.folder, "gateway.yaml")})
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	log, v := NewLog(cfg.Log, r.log)
	if r.Gateway, err = New(t.Context(), Config{Config: cfg, Load: load, Log: log, LogLevel: v}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = r.stop() })
	r.eventually("ready", r.Ready)
	return r
}

func (r *rig) write(text string) {
	r.t.Helper()
	name := filepath.Join(r.folder, "gateway.yaml")
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never %s\n%s", what, r.log)
		}
	}
}

func (r *rig) token(claims map[string]any) string {
	r.t.Helper()
	key, err := auth.NewSecretKey("k1", "HS256", []byte(secret))
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[string]any{
		"iss": "https://auth.example.com", "aud": "api", "sub": "u1", "jti": "t1",
		"iat": time.Now().Unix() - 5, "exp": time.Now().Unix() + 600,
	}
	for name, v := range claims {
		all[name] = v
	}
	token, err := auth.Sign(key, "JWT", all)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) get(path string, header ...string) *http.Response {
	r.t.Helper()
	return r.do(http.DefaultClient, "GET", "http://"+r.Addr().String()+path, "", header...)
}

func (r *rig) admin(method, path, body string) *http.Response {
	r.t.Helper()
	return r.do(http.DefaultClient, method, "http://"+r.AdminAddr().String()+path, body, "Authorization", "Bearer an admin token for tests, 32 bytes", "Content-Type", "application/json")
}

func (r *rig) do(client *http.Client, method, url, body string, header ...string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	res.Body = io.NopCloser(strings.NewReader(string(text)))
	return res
}

func text(res *http.Response) string {
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

// echo is an upstream that answers with the identity that it was told.
func echo(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user=%s client=%s authorization=%q", r.Header.Get("X-User-Id"), r.Header.Get("X-Client-Id"), r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestWholeWay(t *testing.T) {
	r := start(t, yaml(echo(t), ""))
	token := r.token(nil)
	if res := r.get("/orders/1", "Api-Key", "web-key"); res.StatusCode != 401 || !strings.Contains(text(res), "token_missing") {
		t.Errorf("no token: %d", res.StatusCode)
	}
	res := r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+token)
	if got := text(res); res.StatusCode != 200 || got != `user=u1 client=web authorization=""` {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	renewed := strings.TrimPrefix(res.Header.Get("Authorization"), "Bearer ")
	if res := r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+renewed); renewed == token || res.StatusCode != 200 {
		t.Errorf("with the renewed token: %d", res.StatusCode)
	}
	if res := r.admin("POST", "/v1/revocations", `{"kind":"sid","id":"t1"}`); res.StatusCode != 201 {
		t.Fatalf("revoking: %d %s", res.StatusCode, text(res))
	}
	for name, token := range map[string]string{"first": token, "renewed": renewed} {
		r.eventually("revoked", func() bool {
			return r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+token).StatusCode == 401
		})
		if res := r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+token); !strings.Contains(text(res), "token_revoked") {
			t.Errorf("%s token after logout: %d", name, res.StatusCode)
		}
	}
	metrics := text(r.admin("GET", "/metrics", ""))
	for _, line := range []string{
		`gatehouse_requests_total{method="GET",route="orders",status="200"} 2`,
		`gatehouse_auth_decisions_total{reason="token_missing",result="denied",route="orders"} 1`,
		`gatehouse_renewals_total{issuer="main",result="minted"} 2`,
		`gatehouse_revocations{kind="sid"} 1`, `gatehouse_store_up 1`, `gatehouse_issuer_keys{issuer="main"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no line %s in\n%s", line, metrics)
		}
	}
	if err := r.stop(); err != nil {
		t.Errorf("not a clean drain: %v", err)
	}
}

func TestStoredAPIKeys(t *testing.T) {
	r := start(t, yaml(echo(t), ""))
	res := r.admin("POST", "/v1/keys", `{"id":"mobile"}`)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(text(res)), &made); err != nil || made.Key == "" {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	bearer := "Bearer " + r.token(nil)
	r.eventually("opened by the new key", func() bool {
		return strings.Contains(text(r.get("/orders/", "Api-Key", made.Key, "Authorization", bearer)), "client=mobile")
	})
	if res := r.admin("DELETE", "/v1/keys/mobile", ""); res.StatusCode != 204 {
		t.Fatalf("deleting: %d", res.StatusCode)
	}
	r.eventually("closed to the deleted key", func() bool {
		return r.get("/orders/", "Api-Key", made.Key, "Authorization", bearer).StatusCode == 401
	})
}

func TestReload(t *testing.T) {
	upstream := echo(t)
	r := start(t, yaml(upstream, ""))
	if res := r.get("/invoices/"); res.StatusCode != 404 {
		t.Fatalf("before: %d", res.StatusCode)
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

func TestReloadWithoutFile(t *testing.T) {
	g := &Gateway{}
	if err := g.Reload(t.Context()); err == nil {
		t.Error("reloaded from nowhere")
	}
}

// certificate writes a self-signed certificate for loopback and its key.
func certificate(t *testing.T, folder, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(folder, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestTLS(t *testing.T) {
	certs := t.TempDir()
	certificate(t, certs, "first")
	upstream := echo(t)
	open := fmt.Sprintf("  - {name: open, match: /open/, upstream: %q, auth: none}\n", upstream)
	withTLS := func(more string) string {
		return strings.Replace(yaml(upstream, open), "drain_timeout: 5s", fmt.Sprintf("drain_timeout: 5s, tls: {cert_file: %s/cert.pem, key_file: %s/key.pem%s}", certs, certs, more), 1)
	}
	r := start(t, withTLS(""))
	var mine []tls.Certificate
	name := func() (string, int, error) {
		c := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: mine}}}
		defer c.CloseIdleConnections()
		res, err := c.Get("https://" + r.Addr().String() + "/open/")
		if err != nil {
			return "", 0, err
		}
		_ = res.Body.Close()
		return res.TLS.PeerCertificates[0].Subject.CommonName, res.ProtoMajor, nil
	}
	if who, proto, err := name(); who != "first" || proto != 2 || err != nil {
		t.Fatal(who, proto, err)
	}
	ca := certificate(t, certs, "second")
	r.eventually("on the second certificate", func() bool { who, _, err := name(); return err == nil && who == "second" })
	if err := os.WriteFile(filepath.Join(certs, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(withTLS(fmt.Sprintf(", client_ca_file: %s/ca.pem", certs)))
	r.eventually("asking for a client certificate", func() bool { _, _, err := name(); return err != nil })
	pair, err := tls.LoadX509KeyPair(certs+"/cert.pem", certs+"/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	mine = []tls.Certificate{pair}
	if _, _, err := name(); err != nil {
		t.Errorf("with the client certificate: %v", err)
	}
}

func TestCheckFindsWhatLoadCannot(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"public.pem": "no PEM", "short.secret": "short", "set.json": `{"keys":[]}`, "cert.pem": "x", "key.pem": "y", "token": "short",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "gateway.yaml")
	cfg, err := config.Parse(file, []byte(`server:
  tls: {cert_file: cert.pem, key_file: key.pem}
admin: {token_file: token}
store: {url: "memory:"}
issuers:
  - name: a
    issuer: a
    any_audience: true
    jwks_file: set.json
    algorithms: [RS256]
    keys:
      - {kid: k1, algorithm: RS256, public_key_file: public.pem}
      - {kid: k2, algorithm: HS256, secret_file: short.secret}
      - {kid: k3, algorithm: HS256, secret: also short}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Check(cfg)
	for _, want := range []string{
		":12:54: issuers[0].keys[0].public_key_file: no PEM block",
		":13:50: issuers[0].keys[1].secret_file: the secret for HS256 has 5 bytes",
		":14:45: issuers[0].keys[2].secret: the secret for HS256 has 10 bytes",
		":9:16: issuers[0].jwks_file: the key set has no key",
		":2:20: server.tls.cert_file: the certificate and its key cannot be used",
		":3:21: admin.token_file: the token has 5 bytes",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), "also short") {
		t.Error("a secret is shown")
	}
}

func TestExplain(t *testing.T) {
	cfg, err := config.Parse("gateway.yaml", []byte(yaml("http://127.0.0.1:1", "")), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.Header.Set("Api-Key", "web-key")
	r.Header.Set("Authorization", "Bearer "+(&rig{t: t}).token(nil))
	e, err := Explain(t.Context(), cfg, r, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil || !e.Allowed || e.Route != "orders" {
		t.Errorf("%+v %v", e, err)
	}
	// A store that cannot be had: serve would not let this through either.
	cfg.Store.URL = "redis://127.0.0.1:1"
	if e, err = Explain(t.Context(), cfg, r, time.Now(), slog.New(slog.DiscardHandler)); err == nil || e.Allowed || e.Reason != auth.RevocationStale {
		t.Errorf("without a store: %+v %v", e, err)
	}
}

func TestListNeverComplete(t *testing.T) {
	cfg, err := config.Parse("gateway.yaml", []byte("revocation: {when_stale: allow, max_staleness: 5s}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newList()
	l.set(cfg.Revocation)
	now := time.Now()
	if !l.Stale(now) {
		t.Error("a list that was never whole is trusted")
	}
	l.Current(now)
	if l.Stale(now.Add(1000 * time.Hour)) {
		t.Error("when_stale: allow does not allow")
	}
	cfg.Revocation.WhenStale = "deny"
	l.set(cfg.Revocation)
	if l.Stale(now.Add(5*time.Second)) || !l.Stale(now.Add(5001*time.Millisecond)) {
		t.Error("max_staleness is not the limit")
	}
}

func TestDrainFinishesRequests(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	defer s.Close()
	r := start(t, yaml(s.URL, fmt.Sprintf("  - {name: open, match: /open/, upstream: %q, auth: none}\n", s.URL)))
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + r.Addr().String() + "/open/")
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- text(res)
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	r.eventually("not ready", func() bool { return !r.Ready() })
	if res := r.admin("GET", "/readyz", ""); res.StatusCode != 503 {
		t.Errorf("readyz while draining: %d", res.StatusCode)
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way: %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestListenFails(t *testing.T) {
	text := yaml("http://127.0.0.1:1", "")
	for range 2 {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		text = strings.Replace(text, "127.0.0.1:0", taken.Addr().String(), 1)
	}
	cfg, err := config.Parse("gateway.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), Config{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err == nil || strings.Count(err.Error(), "address already in use") != 2 {
		t.Errorf("%v", err)
	}
}
