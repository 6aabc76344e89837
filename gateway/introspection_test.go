package gateway

import (
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/admin"
	"gatehouse/auth"
	"gatehouse/auth/introspection"
	"gatehouse/config"
)

// Requests alone find out that an issuer answers again: a gateway that got none
// would wait for ever.
func TestUnansweringIssuerLeavesTheGatewayReady(t *testing.T) {
	silent := httptest.NewServer(http.NotFoundHandler())
	silent.Close()
	client, err := introspection.New(introspection.Config{
		Issuer: "a", URL: silent.URL, ClientID: "us", ClientSecret: "secret", Timeout: time.Second, MaxCalls: 1,
		Observe: func(auth.IntrospectionResult, time.Duration) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	issuers := []*auth.Issuer{{Name: "a", Keys: auth.NewStaticKeys(nil), Introspection: client}}
	if p := keys(issuers); p.State != admin.StateOK {
		t.Errorf("before it is asked: %s %q", p.State, p.Detail)
	}
	_, _ = client.Ask(t.Context(), "token")
	if p := keys(issuers); p.State != admin.StateDegraded || p.Detail != "introspection gets no answer of issuer a" {
		t.Errorf("%s %q", p.State, p.Detail)
	}
}

func TestCheckReadsAuthorities(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{"none.pem": "no PEM", "cert.pem": "x", "key.pem": "y"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Parse(filepath.Join(folder, "gateway.yaml"), []byte(`issuers:
  - {name: a, issuer: a, any_audience: true, jwks_url: https://a, tls: {ca_file: none.pem}}
  - {name: b, issuer: b, any_audience: true, introspection: {url: https://b, client_id: b, client_secret: b}, tls: {cert_file: cert.pem, key_file: key.pem}}
  - {name: c, issuer: c, any_audience: true, keys: [{algorithm: HS256, secret: "b7Kq0vXw3NfZr8TjYd5LhGm2CsPa9EuQ"}]}
token_service:
  issuer: c
  audience: api
  users: [{http: {url: https://users, tls: {ca_file: none.pem}}}]
  endpoints: [{dialect: oauth2, path: /oauth2}]
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Check(cfg, nil)
	for _, want := range []string{
		":2:82: issuers[0].tls.ca_file: there is no certificate in it",
		":3:128: issuers[1].tls.cert_file: the certificate and its key cannot be used",
		":8:54: token_service.users[0].http.tls.ca_file: there is no certificate in it",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

// An authority that is replaced in its file is another one.
func TestAuthorityIsReplaced(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "ca.pem")
	r := newRemotes(commandRings{}, slog.New(slog.DiscardHandler))
	remote := func(content []byte) any {
		t.Helper()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c := config.Issuer{Name: "a", JWKSURL: "https://a", Algorithms: []string{"ES256"}, TLS: config.ClientTLS{CAFile: config.File(file)}}
		_, tls, err := clientTLS("tls", c.TLS)
		if err != nil {
			t.Fatal(err)
		}
		k, err := r.remote(c, tls)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := remote(authority)
	if remote(authority) != first {
		t.Error("the same authority is another one")
	}
	if remote(append(authority, authority...)) == first {
		t.Error("another file is the same authority")
	}
}
