package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/proxy"
)

func TestCheckFindsWhatLoadCannot(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"public.pem": "no PEM", "short.secret": "short", "set.json": `{"keys":[]}`, "cert.pem": "x", "key.pem": "y", "token": "short", "empty": "\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "gateway.yaml")
	cfg, err := config.Parse(file, []byte(`server:
  tls: {cert_file: cert.pem, key_file: key.pem}
admin: {token_file: token}
store: {url: "rediss://h", tls: {ca_file: cert.pem}}
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
  - name: b
    issuer: b
    any_audience: true
    introspection: {url: "https://b/", client_id: b, client_secret_file: empty}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Check(cfg, nil)
	for _, want := range []string{
		":12:54: issuers[0].keys[0].public_key_file: no PEM block",
		":13:50: issuers[0].keys[1].secret_file: the secret for HS256 has 5 bytes",
		":14:45: issuers[0].keys[2].secret: the secret for HS256 has 10 bytes",
		":9:16: issuers[0].jwks_file: the key set has no key",
		":2:20: server.tls.cert_file: the certificate and its key cannot be used",
		":4:43: store.tls.ca_file: there is no certificate in it",
		":18:74: issuers[1].introspection.client_secret_file: is empty",
		":3:21: admin.token_file: the token has 5 bytes, which can be guessed",
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

// A request to a listener with TLS is explained as one over TLS, and where
// clients must show a certificate as one that has none.
func TestExplainOverTLS(t *testing.T) {
	v := newVolume(t, pemFiles(newAuthority(t, "server"), "gateway"))
	for keys, want := range map[string]auth.Reason{"": auth.OK, ", client_ca_file: FOLDER/cert.pem": auth.CertificateForbidden} {
		tls := strings.ReplaceAll("server: {tls: {cert_file: FOLDER/cert.pem, key_file: FOLDER/key.pem"+keys+"}}\n", "FOLDER", v.folder)
		cfg := parse(t, tls+"store: {url: \"memory:\"}\nroutes:\n  - {name: open, match: /, upstream: \"http://127.0.0.1:1\", auth: none}\n")
		e, err := Explain(t.Context(), cfg, httptest.NewRequest("GET", "/", nil), time.Now(), slog.New(slog.DiscardHandler))
		if err != nil || e.Reason != want {
			t.Errorf("%q: %s %v", keys, e.Reason, err)
		}
		if want == auth.OK && !slices.ContainsFunc(e.Added, func(h proxy.HeaderChange) bool { return h.Name == "X-Forwarded-Proto" && h.Value == "https" }) {
			t.Errorf("%q: sets %v", keys, e.Added)
		}
	}
}

// What Load finds and what only reading the keys finds come together.
func TestCheckFindsAllAtOnce(t *testing.T) {
	cfg, err := config.Parse("gateway.yaml", []byte(`
issuers:
  - name: a
    issuer: a
    any_audience: true
    keys:
      - {kid: k1, algorithm: HS256, secret: short}
      - {kid: k2, secret: short}
      - {kid: k3, algorithm: HS256, secret_file: nowhere}
routes:
  - {name: b, mach: /}
store: {url: "rediss://h", tls: {cert_file: check_test.go}}
`), nil)
	var found config.Problems
	if !errors.As(err, &found) {
		t.Fatal(err)
	}
	_, err = Check(cfg, found)
	want := []string{
		"gateway.yaml:7:45: issuers[0].keys[0].secret: the secret for HS256 has 5 bytes",
		"gateway.yaml:8:9: issuers[0].keys[1].algorithm: is missing",
		"gateway.yaml:9:50: issuers[0].keys[2].secret_file: no such file",
		"gateway.yaml:11:5: routes[0].match: is missing",
		"gateway.yaml:11:5: routes[0].upstream: is missing",
		`gateway.yaml:11:15: routes[0].mach: unknown key (did you mean "match"?)`,
		"gateway.yaml:12:28: store.tls.key_file: is missing", // and no word about half a pair that cannot be read
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d problems instead of %d:\n%v", len(lines), len(want), err)
	}
	for i, w := range want {
		if i >= len(lines) || !strings.HasPrefix(lines[i], w) {
			t.Fatalf("no %s as line %d of\n%v", w, i+1, err)
		}
	}
}

func TestShortAdminToken(t *testing.T) {
	for token, want := range map[string]int{"12345678": 1, "123456789012345678901": 1, "1234567890123456789012": 0} {
		cfg, err := config.Parse("gateway.yaml", []byte("admin: {token: \""+token+"a\"}\n"), nil) // the a keeps it from being a number
		if err != nil {
			t.Fatal(err)
		}
		cfg.Admin.Token = config.Secret(token)
		if warnings, err := Check(cfg, nil); err != nil || len(warnings) != want {
			t.Errorf("%d bytes: %v, %v", len(token), warnings, err)
		}
	}
}

// Keys that no token reaches are told of.
func TestKeysThatAreNeverTried(t *testing.T) {
	for keys, want := range map[int]string{4: "", 5: "issuers[0].keys: keys of HS256 that are never tried: 1, which have no kid"} {
		content := "issuers:\n  - name: main\n    issuer: https://a.example\n    audiences: [api]\n    keys:\n"
		for i := range keys {
			content += fmt.Sprintf("      - {algorithm: HS256, secret: \"%032d of its own\"}\n", i)
		}
		cfg, err := config.Parse("gateway.yaml", []byte(content), nil)
		if err != nil {
			t.Fatal(err)
		}
		warnings, err := Check(cfg, nil)
		if err != nil || len(warnings) > 0 != (want != "") || !strings.Contains(strings.Join(warnings, "\n"), want) {
			t.Errorf("%d keys: %q, %v", keys, warnings, err)
		}
	}
}

func TestCheckFindsWhatOpeningTheStoreWould(t *testing.T) {
	for url, want := range map[string]string{
		"redis://127.0.0.1:1/zz": "store.url: what follows the / is the number", "redis://127.0.0.1:1/0?foo=1": "store.url: master is the only",
		"redis://127.0.0.1:1/0": "", "memory:": "",
	} {
		cfg, err := config.Parse("gateway.yaml", []byte("store: {url: \""+url+"\"}\nroutes: [{name: a, match: /, upstream: \"http://127.0.0.1:1/\", auth: none}]\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Check(cfg, nil); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
		}
	}
}
