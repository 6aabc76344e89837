package gateway

import (
	"crypto/tls"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/proxy"
)

// jwk is the key of RFC 8037 §A.2.
const jwk = `{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"set","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

// parse is the configuration with that text, in a folder with a key set and a
// certificate.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	folder := t.TempDir()
	certificate(t, folder, "gw.example")
	for name, content := range map[string]string{"set.json": `{"keys":[` + jwk + `,{"kty":"oct","k":"AAAA"}]}`, "empty.pem": "none"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Parse(filepath.Join(folder, "gateway.yaml"), []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestRoutesAreAsConfigured(t *testing.T) {
	cfg := parse(t, `
issuers:
  - {name: a, issuer: a, any_audience: true, keys: [{kid: k, algorithm: HS256, secret: "`+secret+`"}]}
  - {name: b, issuer: b, any_audience: true, keys: [{kid: k, algorithm: HS256, secret: "`+secret+`"}]}
routes:
  - name: one
    match: /one/
    issuers: [b]
    upstream: [{url: http://127.0.0.1:1, weight: 0}, {url: http://127.0.0.1:2, weight: 3}]
    forward: {claims: [{claim: sub, header: x-user-id}, {claim: email, header: X-User-Email}]}
  - {name: two, match: /two/, upstream: http://127.0.0.1:3, forward: {claims: [{claim: email, header: X-User-Id}]}}
  - {name: three, match: /three/, upstream: http://127.0.0.1:3, forward: {claims: [{claim: email, header: X-User-Id}]}}
`)
	b := &builder{cfg: cfg}
	routes := b.routes(b.issuers())
	if len(b.problems) > 0 {
		t.Fatal(b.problems)
	}
	one, two, three := routes[0], routes[1], routes[2]
	for i, want := range []string{"b", "ab", "ab"} {
		got := ""
		for _, issuer := range routes[i].Policy.Issuers {
			got += issuer.Name
		}
		if got != want {
			t.Errorf("route %d has the issuers %q, want %q", i, got, want)
		}
	}
	if u := one.Upstreams; len(u) != 1 || u[0].URL.Host != "127.0.0.1:2" || u[0].Weight != 3 {
		t.Errorf("upstreams: %v", u)
	}
	if c := one.Policy.Forward.Claims; c[0].Claim != "" || c[0].Header != "X-User-Id" || c[1].Claim != "email" {
		t.Errorf("X-User-Id is not the subject: %v", c)
	}
	if c := two.Policy.Forward.Claims; c[0].Claim != "email" {
		t.Errorf("X-User-Id is not the claim that was asked for: %v", c)
	}
	if two.Policy.Forward != three.Policy.Forward || one.Policy.Forward == two.Policy.Forward {
		t.Error("routes that forward alike do not share it, or others do")
	}
}

// Each option of a route is where the data plane looks for it.
func TestEachOptionOfARoute(t *testing.T) {
	cfg := parse(t, `
server: {tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem}}
issuers: [{name: a, issuer: a, any_audience: true, renew: {}, keys: [{kid: k, algorithm: HS256, secret: "`+secret+`"}]}]
routes:
  - name: all
    match: GET a.example/x/
    upstream: https://127.0.0.1:1/
    upstream_tls: {server_name: orders.internal}
    auth: any
    require:
      scopes: [a, b]
      claims: [{claim: tier, any_of: [gold, "1"]}]
      client_certificate: [{subject: CN=one, uri: "spiffe://x/*", dns: one.example}]
    renew: true
    strip_prefix: /x
    websocket: true
    timeout: 3s
    stream_idle_timeout: 4s
    max_body_bytes: 5KiB
    forward: {authorization: keep, api_key_id: x-key, client_certificate: x-cert, claims: [{claim: tier, header: x-tier, format: json}, {claim: sub, header: x-sub}]}
`)
	b := &builder{cfg: cfg}
	r := b.routes(nil)[0]
	if len(b.problems) > 0 {
		t.Fatal(b.problems)
	}
	if r.TLS == nil || r.TLS.Config.ServerName != "orders.internal" || r.TLS.Config.MinVersion != tls.VersionTLS12 {
		t.Errorf("TLS: %+v", r.TLS)
	}
	r.TLS = nil
	want := &proxy.Route{
		Name: "all", Pattern: "GET a.example/x/", Upstreams: []proxy.Upstream{{URL: &url.URL{Scheme: "https", Host: "127.0.0.1:1"}, Weight: 1}},
		KeepAuthorization: true, StripPrefix: "/x", WebSocket: true, Timeout: 3 * time.Second, StreamIdle: 4 * time.Second, MaxBodyBytes: 5 << 10,
		Policy: &auth.Policy{
			Route: "all", Mode: auth.Any, Renew: true, Scopes: []string{"a", "b"},
			Claims:       []auth.ClaimRule{{Claim: "tier", AnyOf: []string{"gold", "1"}}},
			Certificates: []auth.CertificateRule{{Subject: "CN=one", URI: "spiffe://x/*", DNSName: "one.example"}},
			Forward: &auth.Forward{
				APIKeyHeader: "X-Key", CertificateHeader: "X-Cert",
				Claims: []auth.ClaimHeader{{Claim: "tier", Header: "X-Tier", Format: auth.FormatJSON}, {Claim: "sub", Header: "X-Sub"}},
			},
		},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got  %+v\n%+v\n%+v\nwant %+v\n%+v\n%+v", r, r.Policy, r.Policy.Forward, want, want.Policy, want.Policy.Forward)
	}
}

// What Load has refused already, here by configurations that it never saw.
func TestRouteThatCannotBeBuilt(t *testing.T) {
	for want, change := range map[string]func(*config.Route){
		"routes[0].auth: is not a mode":                       func(r *config.Route) { r.Auth = "" },
		"routes[0].upstream[0]: is not a URL":                 func(r *config.Route) { r.Upstream[0].URL = ":" },
		"routes[0].forward.claims[0].format: is not a format": func(r *config.Route) { r.Forward.Claims[0].Format = "xml" },
	} {
		cfg := parse(t, "routes: [{name: a, match: /, upstream: http://127.0.0.1:1, auth: none, forward: {claims: [{claim: tier, header: X-Tier}]}}]\n")
		change(&cfg.Routes[0])
		b := &builder{cfg: cfg}
		if b.routes(nil); len(b.problems) != 1 || !strings.Contains(b.problems.Error(), want) {
			t.Errorf("%v, want %s", b.problems, want)
		}
	}
}

func TestKeysOfAKeySet(t *testing.T) {
	issuer := func(keys string) *builder {
		return &builder{cfg: parse(t, "issuers: [{name: a, issuer: a, any_audience: true, jwks_file: set.json, algorithms: [EdDSA], keys: ["+keys+"]}]\n")}
	}
	b := issuer(`{kid: own, algorithm: HS256, secret: "` + secret + `"}`)
	all := b.issuers()[0].Keys.All()
	if len(b.problems) > 0 || len(all) != 2 || all[0].ID != "own" || all[1].ID != "set" {
		t.Errorf("%v %v", all, b.problems)
	}
	if len(b.warnings) != 1 || !strings.Contains(b.warnings[0], "issuers[0].jwks_file: key 2: ") || !strings.HasSuffix(b.warnings[0], ": left out") {
		t.Errorf("warnings: %v", b.warnings)
	}
	b = issuer(`{kid: set, algorithm: HS256, secret: "` + secret + `"}`)
	if b.issuers(); len(b.problems) != 1 || !strings.Contains(b.problems.Error(), `issuers[0].jwks_file: kid "set" stands under keys too`) {
		t.Errorf("one kid twice: %v", b.problems)
	}
}

func TestClientCAWithoutCertificate(t *testing.T) {
	b := &builder{cfg: parse(t, "server: {tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: empty.pem}}\n")}
	if b.tls(); len(b.problems) != 1 || !strings.Contains(b.problems.Error(), "server.tls.client_ca_file: there is no certificate in it") {
		t.Errorf("%v", b.problems)
	}
}

func TestStoreCertificateWithoutKey(t *testing.T) {
	b := &builder{cfg: parse(t, "store: {url: rediss://h, tls: {cert_file: empty.pem, key_file: key.pem}}\n")}
	if b.storeURL(); len(b.problems) != 1 || !strings.Contains(b.problems.Error(), "store.tls.cert_file: the certificate and its key cannot be used") {
		t.Errorf("%v", b.problems)
	}
}

func TestAdminHosts(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string][]string{
		"gw.example.com:9090": {"gw.example.com", own},
		":9090":               {own},
	} {
		if got := adminHosts(address); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
