package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTokenService(t *testing.T) {
	c := mustParse(t, string(full(t)))
	users, err := filepath.Abs("users.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ts := *c.TokenService
	same(t, "users", ts.Users, []UserSource{
		{Name: "users.yaml", File: File(users)},
		{Name: "people", Postgres: &Postgres{"postgres://u:hunter2@h/db", "", "select id, password_hash from users where name = $1", Duration(3 * time.Second), 5}},
		{Name: "http", HTTP: &HTTPUsers{"https://users.internal/verify?a=b", "http://[::1]:7000/lookup", Duration(4 * time.Second), ClientTLS{ServerName: "users"}}},
	})
	same(t, "a confidential client", ts.Clients[0], Client{
		ID: "reporting", SecretSHA256: Hash{0x21, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23, 0x45, 0x67, 0x89, 0x01, 0x23},
		Grants: []string{"client_credentials"}, Scopes: []string{"red-marker-review"}, AccessTTL: Duration(15 * time.Minute),
	})
	same(t, "a client that signs", ts.Clients[1], Client{
		ID: "partner-1", SigningSecret: "hunter2", APIKeyID: "web-app", Grants: []string{"client_secret"}, AccessTTL: Duration(61 * time.Minute),
	})
	same(t, "endpoints", ts.Endpoints, []Endpoint{
		{"oauth", "oauth2", "/oauth2", "none", false, ""},
		{"jsonapi", "jsonapi", "/ma-authentication-ms/v1/api", "api_key", false, ""},
		{"client_secret", "client_secret", "/", "none", false, ""},
		{"password_form", "password_form", "/auth/jwt", "api_key", true, ""},
		{"envelope", "envelope", "/v1", "none", false, "/oauth/token"},
		{"envelope-2", "envelope", "/v2", "none", false, "/v2/oauth/token"},
	})
	ts.Users, ts.Clients, ts.Endpoints = nil, nil, nil
	same(t, "the rest", ts, TokenService{
		Issuer: "bare", Audience: "api", AccessTTL: Duration(61 * time.Minute), RefreshTTL: Duration(722 * time.Hour),
		RefreshGrace: Duration(12 * time.Second), MaxSession: Duration(723 * time.Hour), PublicURL: "https://public.example.com/sub",
		LoginLimits: LoginLimits{Rate{11, 6 * time.Minute}, Rate{}, 3},
	})
}

const smallService = `
issuers: [{name: main, issuer: "", any_audience: true, key_ring: {encryption_key_file: hs.secret}, renew: {}}]
token_service:
  issuer: main
  endpoints: [{dialect: oauth2, path: /oauth2}]
`

func TestTokenServiceDefaults(t *testing.T) {
	chdir(t)
	c := mustParse(t, smallService)
	same(t, "token service", *c.TokenService, TokenService{
		Issuer: "main", AccessTTL: Duration(time.Hour), RefreshTTL: Duration(720 * time.Hour), RefreshGrace: Duration(10 * time.Second),
		MaxSession: Duration(720 * time.Hour), LoginLimits: LoginLimits{Rate{10, 5 * time.Minute}, Rate{50, 5 * time.Minute}, 2},
		Endpoints: []Endpoint{{Name: "oauth2", Dialect: "oauth2", Path: "/oauth2", Auth: "none"}},
	})
	ring := *c.Issuers[0].KeyRing
	same(t, "key ring", ring, KeyRing{"ES256", "", ring.EncryptionKeyFile, Duration(720 * time.Hour), Duration(10 * time.Minute)})
	for _, none := range []string{"log: {level: info}\n", "token_service: {}\n"} {
		if c := mustParse(t, none); c.TokenService != nil {
			t.Errorf("%s gives a token service", none)
		}
	}
}

// The sample of the contract, but for the issuer's files.
func TestTokenServiceOfTheContract(t *testing.T) {
	chdir(t)
	c := mustParse(t, `
api_keys: {keys: [{id: partner-1, sha256: "0123456789012345678901234567890123456789012345678901234567890123"}]}
issuers: [{name: main, issuer: https://auth.example.com, audiences: [api], keys: [{kid: k1, algorithm: ES256, private_key_file: key.pem}]}]
token_service:
  issuer: main
  audience: api
  access_ttl: 1h
  refresh_ttl: 720h
  refresh_grace: 10s
  max_session: 720h
  users:
    - file: users.yaml
    - postgres: {url_env: DATABASE_URL, query: "select id, password_hash, email, disabled, claims from users where lower(email) = lower($1)"}
    - http: {url: "http://127.0.0.1:7000/verify", timeout: 2s}
  clients:
    - {id: reporting, secret_sha256: "0123456789012345678901234567890123456789012345678901234567890123", grants: [client_credentials], scopes: [red-marker-review], access_ttl: 15m}
    - {id: partner-1, api_key_id: partner-1, signing_secret_file: hs.secret, grants: [client_secret]}
  login_limits: {per_account: 10/5m, per_ip: 50/5m, max_concurrent_hashes: 2}
  endpoints:
    - {dialect: oauth2, path: /oauth2}
    - {dialect: jsonapi, path: /ma-authentication-ms/v1/api, auth: api_key}
    - {dialect: client_secret, path: /}
    - {dialect: password_form, path: /auth/jwt}
    - {dialect: envelope, path: /v1}
`, "DATABASE_URL=postgres://u:hunter2@h/db")
	same(t, "URL from the variable", c.TokenService.Users[1].Postgres.URL.Reveal(), "postgres://u:hunter2@h/db")
	same(t, "warnings", len(c.Warnings()), 0)
	printed, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(printed), "hunter2") || strings.Contains(string(printed), "url_env") || !strings.Contains(string(printed), "url: '[redacted]'") {
		t.Errorf("printed:\n%s", printed)
	}
}

func TestTokenServiceFromTheEnvironment(t *testing.T) {
	chdir(t)
	c := mustParse(t, smallService, "GATEHOUSE_TOKEN_SERVICE_ACCESS_TTL=30m", "GATEHOUSE_TOKEN_SERVICE_LOGIN_LIMITS_PER_IP=off")
	same(t, "access_ttl", c.TokenService.AccessTTL, Duration(30*time.Minute))
	same(t, "per_ip", c.TokenService.LoginLimits.PerIP, Rate{})
	same(t, "what no variable says", c.TokenService.LoginLimits.PerAccount, Rate{10, 5 * time.Minute})
	// A variable is never without effect: it asks for a service that is not there.
	for _, none := range []string{"log: {level: info}\n", "token_service: {}\n"} {
		_, err := Parse("gateway.yaml", []byte(none), []string{"GATEHOUSE_TOKEN_SERVICE_ISSUER=main"})
		if err == nil || !strings.Contains(err.Error(), "environment variable GATEHOUSE_TOKEN_SERVICE_ISSUER: token_service.issuer: no issuer has that name") {
			t.Errorf("%s with a variable: %v", none, err)
		}
	}
}

// An API key may be made at run time; that the file has none deserves a look.
func TestClientWithoutAPIKey(t *testing.T) {
	chdir(t)
	const client = "  clients: [{id: p, api_key_id: app, signing_secret_file: hs.secret, grants: [client_secret]}]\n"
	c := mustParse(t, smallService+client)
	same(t, "warnings", c.Warnings(), []string{
		"gateway.yaml:6:33: token_service.clients[0].api_key_id: no key under api_keys has that id: the client can come in with one that is made at run time only",
	})
}

func TestTokenServiceURLs(t *testing.T) {
	chdir(t)
	for key, urls := range map[string]map[string]bool{
		"public_url: URL": {
			"https://auth.example.com": true, "http://[::1]:8080/sub": true, `""`: true,
			"https://auth.example.com/": false, "https://auth.example.com/sub/": false, "https://u@h": false, "https://h?a": false, "'https://h#a'": false,
			"ftp://h": false, "auth.example.com": false, "https://": false, "'https://%zz'": false, "//h": false,
		},
		"users: [{http: {url: URL}}]": {
			"https://users.internal/verify": true, "http://127.0.0.1:7000": true, "http://127.9.9.9/": true, `"http://[::1]:7000/a?b"`: true, "http://localhost:1/": true,
			"http://10.0.0.1/": false, "http://0.0.0.0/": false, `"http://[::]/"`: false, "http://localhost.evil.example/": false, "http://127.0.0.1.evil.example/": false,
			"https://u@h": false, `"https://h#a"`: false, "ftp://127.0.0.1/": false, "https://": false, `"https://%zz"`: false, `""`: false, "/verify": false,
		},
	} {
		for url, ok := range urls {
			line := "  " + strings.Replace(key, "URL", url, 1)
			if _, err := Parse("gateway.yaml", []byte(smallService+line+"\n"), nil); (err == nil) != ok {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

// Sessions remember the name of their user's source.
func TestUserSourceNames(t *testing.T) {
	chdir(t)
	c := mustParse(t, smallService+"  users: [{file: users.yaml}, {http: {url: http://127.0.0.1:7000/v}}, {name: old, file: users.yaml}]\n")
	var names []string
	for _, s := range c.TokenService.Users {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "users.yaml http old" {
		t.Error(got)
	}
	_, err := Parse("gateway.yaml", []byte(smallService+"  users: [{file: users.yaml}, {file: users.yaml}]\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "token_service.users[1].name: ") {
		t.Errorf("two sources have one name: %v", err)
	}
}
