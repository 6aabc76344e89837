package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// full returns testdata/full.yaml, and goes where its files are.
func full(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	chdir(t)
	return data
}

func mustParse(t *testing.T, content string, environ ...string) *Config {
	t.Helper()
	c, err := Parse("gateway.yaml", []byte(content), environ)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

func TestFull(t *testing.T) {
	c := mustParse(t, string(full(t)))
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) File { return File(filepath.Join(here, name)) }

	wantServer := Server{
		Listen: "127.0.0.1:8081", TLS: TLS{in("cert.pem"), in("key.pem"), in("cert.pem"), "optional"},
		MaxConnections: 9000, ReadHeaderTimeout: Duration(6 * time.Second), IdleTimeout: Duration(121 * time.Second),
		BodyIdleTimeout: Duration(31 * time.Second), MaxHeaderBytes: 33 << 10, MaxBodyBytes: 11 << 20,
		DrainTimeout: Duration(21 * time.Second), DrainDelay: Duration(time.Second),
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
	}
	same(t, "server", c.Server, wantServer)
	same(t, "admin", c.Admin, Admin{Listen: "127.0.0.1:9091", TokenFile: in("hs.secret")})
	same(t, "store", c.Store, Store{
		URL: "rediss+sentinel://user:hunter2@h1:26379,h2:26379/0?master=main", Timeout: Duration(201 * time.Millisecond),
		WaitReplicas: 1, WaitTimeout: Duration(101 * time.Millisecond), RevocationShards: 4,
		TLS: ClientTLS{in("cert.pem"), in("cert.pem"), in("key.pem"), "redis.internal"},
	})
	same(t, "revocation", c.Revocation, Revocation{Duration(6 * time.Second), "allow", 32 << 20})
	same(t, "log", c.Log, Log{"debug", "text", false})
	same(t, "key 0", c.APIKeys.Keys[0], APIKey{
		"web-app",
		Hash{0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23},
		time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		[]string{"orders", "jsonapi"},
	})
	main := c.Issuers[0]
	keys := main.Keys
	main.Keys = nil
	same(t, "issuer", main, Issuer{
		Name: "main", Issuer: "https://auth.example.com", Audiences: []string{"api"}, JWKSFile: in("jwks.json"),
		JWKSURL:    "https://auth.example.com/jwks.json",
		Algorithms: []string{"RS256", "ES256"}, Leeway: Duration(11 * time.Second), MaxTokenBytes: 5 << 10,
		MaxTokenLife: Duration(25 * time.Hour), SubjectClaim: "uid", RequiredClaims: []string{"uid"},
		KeyRing: &KeyRing{"EdDSA", "", in("hs.secret"), Duration(721 * time.Hour), Duration(11 * time.Minute)},
		Cookie:  "__Host-token", Renew: &Renew{0.25, Duration(13 * time.Hour)},
	})
	same(t, "introspection", *c.Issuers[2].Introspection, Introspection{
		"https://partners.example.com/introspect?a=b", "us", "", in("hs.secret"), Duration(3 * time.Second), Duration(31 * time.Second), 65,
	})
	same(t, "tls", c.Issuers[2].TLS, ClientTLS{in("cert.pem"), in("cert.pem"), in("key.pem"), "partners.internal"})
	same(t, "secret", keys[2].Secret.Reveal(), "hunter2 0123456789abcdef0123456789abcdef")
	same(t, "private key", keys[4].PrivateKey.Reveal(), "hunter2")
	same(t, "public key", keys[5].PublicKey, "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")
	same(t, "orders", c.Routes[0].RouteDefaults, RouteDefaults{
		Upstream: Upstreams{{"http://127.0.0.1:9000", 3}, {"https://orders.internal", 1}}, Auth: "any", Issuers: []string{"main"},
		UpstreamTLS: ClientTLS{in("cert.pem"), in("cert.pem"), in("key.pem"), "orders.internal"},
		Require: Require{
			Scopes: []string{"orders:read", "orders:write"}, Claims: []ClaimRule{{"roles", []string{"admin", "1", "${literal}"}}},
			ClientCertificate: []CertificateRule{{Subject: `CN=orders,O=acme\, Inc.`, DNS: "orders.internal"}, {URI: "spiffe://acme/orders"}, {Any: true}},
		},
		Forward: Forward{[]ClaimHeader{{"sub", "x-user-id", "text"}, {"realm.roles", "X-User-Roles", "csv"}}, "X-App", "X-Client-Certificate", "keep"},
		Renew:   true, StripPrefix: "/v1", Websocket: true, StreamIdleTimeout: Duration(2 * time.Hour),
	})
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func TestBuiltInDefaults(t *testing.T) {
	chdir(t)
	c := mustParse(t, `
issuers: [{name: main, issuer: "", any_audience: true, keys: [{algorithm: HS256, secret_file: hs.secret}], renew: {}}]
routes: [{name: a, match: /, upstream: "http://127.0.0.1:1"}]
`)
	same(t, "listen", c.Server.Listen, "127.0.0.1:8080")
	same(t, "staleness", c.Revocation, Revocation{Duration(5 * time.Second), "deny", 0})
	same(t, "access log", c.Log.Access, true)
	is := c.Issuers[0]
	same(t, "leeway", is.Leeway, Duration(10*time.Second))
	same(t, "required claims", is.RequiredClaims, []string{"sub"})
	same(t, "renew", *is.Renew, Renew{0.5, Duration(12 * time.Hour)})
	same(t, "route", c.Routes[0].RouteDefaults, RouteDefaults{
		Upstream: Upstreams{{"http://127.0.0.1:1", 1}}, Auth: "both",
		Forward: Forward{[]ClaimHeader{{"sub", "X-User-Id", "text"}}, "X-Client-Id", "", "strip"},
		Timeout: Duration(30 * time.Second), StreamIdleTimeout: Duration(time.Hour), MaxBodyBytes: 10 << 20,
	})
	if !strings.HasPrefix(c.Store.URL.Reveal(), "file:/") || !strings.HasSuffix(c.Store.URL.Reveal(), "/gatehouse.db") {
		t.Errorf("store.url is %q, want an absolute path", c.Store.URL.Reveal())
	}
}

// A route takes over what `defaults` says, key by key, and its own keys win.
func TestC11Inherit(t *testing.T) {
	chdir(t)
	c := mustParse(t, `
server: {max_body_bytes: 1MiB, tls: {cert_file: cert.pem, key_file: key.pem, client_ca_file: cert.pem}}
issuers:
  - {name: still, issuer: a, any_audience: true, keys: [{algorithm: HS256, secret_file: hs.secret}]}
  - {name: sliding, issuer: b, any_audience: true, keys: [{algorithm: HS256, secret_file: hs.secret}], renew: {}}
defaults:
  upstream: http://127.0.0.1:1
  require: {scopes: [read], claims: [{claim: a, any_of: [b]}], client_certificate: [{dns: a}]}
  forward: {claims: [{claim: email, header: X-Email}], api_key_id: X-App}
  renew: true
  timeout: 3s
routes:
  - {name: silent, match: /silent}
  - {name: own, match: /own, timeout: 0, require: {scopes: []}, forward: {claims: [], api_key_id: ""}, max_body_bytes: 2KiB}
  - {name: open, match: /open, auth: none}
  - {name: still, match: /still, issuers: [still]}
`)
	d, silent, own, open, still := c.Defaults, c.Routes[0], c.Routes[1], c.Routes[2], c.Routes[3]
	same(t, "a silent route", silent.RouteDefaults, d)
	same(t, "auth", silent.Auth, "both")
	same(t, "body limit of the server", silent.MaxBodyBytes, Size(1<<20))
	same(t, "own scopes", own.Require, Require{Scopes: []string{}, Claims: d.Require.Claims, ClientCertificate: d.Require.ClientCertificate})
	same(t, "own forward", own.Forward, Forward{[]ClaimHeader{}, "", "", "strip"})
	same(t, "own timeout", own.Timeout, Duration(0))
	same(t, "own body limit", own.MaxBodyBytes, Size(2<<10))
	same(t, "open route asks nothing of tokens", open.Require, Require{ClientCertificate: []CertificateRule{{DNS: "a"}}})
	same(t, "open route does not renew", open.Renew, false)
	same(t, "route of an issuer that does not renew", still.Renew, false)
}

// What `defaults` says of tokens does not reach routes whose auth, be it a default
// too, looks at none.
func TestC11InheritedAuth(t *testing.T) {
	chdir(t)
	c := mustParse(t, `
defaults: {auth: api_key, upstream: "http://127.0.0.1:1", require: {scopes: [read]}}
routes: [{name: a, match: /}]
`)
	same(t, "auth", c.Routes[0].Auth, "api_key")
	same(t, "require", c.Routes[0].Require, Require{})
}

func TestFaultHasNoPath(t *testing.T) {
	for err, want := range map[error]string{
		&fs.PathError{Op: "open", Path: "p", Err: fs.ErrPermission}: "no permission to read the file",
		&fs.PathError{Op: "open", Path: "p", Err: fs.ErrNotExist}:   "no such file",
		&fs.PathError{Op: "read", Path: "p", Err: fs.ErrInvalid}:    "the file cannot be read",
	} {
		same(t, err.Error(), fault(err), want)
	}
}

func TestLoadFaults(t *testing.T) {
	chdir(t)
	for name, want := range map[string]string{
		"none.yaml": "none.yaml: no such file: name another with --config, or write one with gatehouse init",
		"folder":    "folder: is a folder, not a file",
		"huge":      "huge: the file is larger than 1 MiB",
	} {
		_, err := Load(LoadConfig{File: name})
		var problems Problems
		if !errors.As(err, &problems) || err.Error() != want {
			t.Errorf("Load(%s): %v, want %s", name, err, want)
		}
	}
	if _, err := Parse("a", make([]byte, maxFileBytes+1), nil); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("Parse of too much: %v", err)
	}
}

func TestProblemPosition(t *testing.T) {
	chdir(t)
	c := mustParse(t, `log: {level: info}
issuers:
  - name: main
    issuer: a
    any_audience: true
    keys:
      - algorithm: HS256
        secret_file: hs.secret
`, "GATEHOUSE_ADMIN_LISTEN=:0")
	for path, want := range map[string]string{
		"issuers[0].keys[0].secret_file": "gateway.yaml:8:22: issuers[0].keys[0].secret_file: is 7 short",
		"issuers[0].keys[0].kid":         "gateway.yaml:7:9: issuers[0].keys[0].kid: is 7 short",
		"issuers[0].keys":                "gateway.yaml:6:5: issuers[0].keys: is 7 short",
		"log.format":                     "gateway.yaml:1:1: log.format: is 7 short",
		"store.url":                      "gateway.yaml:1:1: store.url: is 7 short",
		"admin.listen":                   "environment variable GATEHOUSE_ADMIN_LISTEN: admin.listen: is 7 short",
	} {
		if got := c.Problem(path, "is %d short", 7).Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestFiles(t *testing.T) {
	c := mustParse(t, string(full(t)))
	var names []string
	for _, f := range c.Files() {
		if !filepath.IsAbs(f) {
			t.Errorf("%s is not absolute", f)
		}
		names = append(names, filepath.Base(f))
	}
	same(t, "files", names, []string{"gateway.yaml", "cert.pem", "key.pem", "hs.secret", "jwks.json", "users.yaml"})
}

func TestC07WorldReadableSecret(t *testing.T) {
	content := string(full(t))
	if w := mustParse(t, content).Warnings(); len(w) != 0 {
		t.Errorf("warnings about files of mode 0600: %v", w)
	}
	for name, want := range map[string]string{
		"hs.secret": "admin.token_file", "key.pem": "server.tls.key_file", "users.yaml": "token_service.users[0].file", "cert.pem": "",
	} {
		if err := os.Chmod(name, 0o640); err != nil {
			t.Fatal(err)
		}
		warnings := strings.Join(mustParse(t, content).Warnings(), "\n")
		if want == "" && warnings != "" || !strings.Contains(warnings, want) {
			t.Errorf("%s readable by others: warnings are %q, want one about %q", name, warnings, want)
		}
		if name == "hs.secret" {
			for _, path := range []string{"issuers[0].keys[2].secret:", "issuers[0].key_ring.encryption_key_file:", "token_service.clients[2].signing_secret_file:"} {
				if !strings.Contains(warnings, path) {
					t.Errorf("no warning about %s %q", path, warnings)
				}
			}
		}
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Aliases are followed, and a small file cannot unfold to endless work.
func TestC10Aliases(t *testing.T) {
	chdir(t)
	c := mustParse(t, `
defaults: {auth: api_key, upstream: "http://127.0.0.1:1", forward: {claims: &claims [{claim: a, header: X-A}]}}
routes: [{name: a, match: /, forward: {claims: *claims}}]
`)
	same(t, "alias", c.Routes[0].Forward.Claims, []ClaimHeader{{"a", "X-A", "text"}})

	bomb := "a: &a [" + strings.Repeat("{claim: a, header: X-A},", 2000) + "]\nroutes: [" +
		"&r {name: a, match: /, forward: {claims: *a}}" + strings.Repeat(", *r", 5000) + "]\n"
	began := time.Now()
	_, err := Parse("gateway.yaml", []byte(bomb), nil)
	if err == nil || !strings.Contains(err.Error(), "with its aliases unfolded") {
		t.Errorf("a bomb gives %.300v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("a bomb takes %v", took)
	}
	if _, err := Parse("gateway.yaml", []byte("routes: &a [*a]\n"), nil); err == nil {
		t.Error("a list that contains itself is accepted")
	}
}

// Nothing that stands in a config comes back in what is said of it.
func TestC06NoValueInProblems(t *testing.T) {
	lines := strings.Split(string(full(t)), "\n")
	for i, line := range lines {
		key, _, ok := strings.Cut(line, ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for _, value := range []string{"CANARY", "{CANARY: 1", "*CANARY", "'CANARY", "[CANARY]", "${CANARY", "!CANARY x", "\"CANARY\\0\"", "http://CANARY:CANARY@h/"} {
			mutated := append([]string{}, lines...)
			mutated[i] = key + ": " + value
			_, err := Parse("gateway.yaml", []byte(strings.Join(mutated, "\n")), nil)
			if err == nil {
				continue
			}
			for said := range strings.SplitSeq(err.Error(), "\n") {
				// A key is named by design, and so is a variable.
				if strings.Contains(said, "CANARY") && !strings.Contains(said, "unknown key") {
					t.Errorf("line %d as %s: %s", i+1, value, said)
				}
			}
		}
	}
}

// What is not used may be written all the same, switched off.
func TestSwitchedOff(t *testing.T) {
	issuer := "issuers: [{name: a, issuer: a, any_audience: true, keys: [{algorithm: HS256, secret: x}], %s}]\n"
	for content, ok := range map[string]bool{
		"token_service: {}\n": true, fmt.Sprintf(issuer, `jwks_url: ""`): true, fmt.Sprintf(issuer, "discovery: false"): true,
		"token_service: {issuer: a}\n": false, "token_service: []\n": false, "token_service: false\n": false,
		fmt.Sprintf(issuer, "jwks_url: https://a"): true, fmt.Sprintf(issuer, "discovery: true"): true,
		fmt.Sprintf(issuer, "jwks_url: https://a, discovery: true"): false,
	} {
		if _, err := Parse("gateway.yaml", []byte(content), nil); (err == nil) != ok {
			t.Errorf("%s: %v", content, err)
		}
	}
}
