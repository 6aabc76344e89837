package endpoint

import (
	"crypto/tls"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

func TestMetadata(t *testing.T) {
	f := newFixture(t, "oauth2", func(cfg *Config) {
		cfg.PublicURL = "https://login.example.com/"
		cfg.Clients = []token.Client{
			{ID: "spa", Grants: []token.GrantType{token.GrantRefresh, token.GrantPassword}, Scopes: []string{"write", "read"}},
			{ID: "job", SecretSHA256: [32]byte{1}, Grants: []token.GrantType{token.GrantClientCredentials, token.GrantPassword}, Scopes: []string{"read"}},
			{ID: "partner", Grants: []token.GrantType{token.GrantClientSecret}, Scopes: []string{"of-another-dialect"}},
		}
	})
	for _, method := range []string{"GET", "HEAD"} {
		a := f.send(method + " /.well-known/oauth-authorization-server?x=y")
		f.want(a, 200, `{"issuer":"https://auth.example.com",`+
			`"token_endpoint":"https://login.example.com/oauth2/token",`+
			`"revocation_endpoint":"https://login.example.com/oauth2/revoke",`+
			`"introspection_endpoint":"https://login.example.com/oauth2/introspect",`+
			`"jwks_uri":"https://login.example.com/.well-known/jwks.json",`+
			`"response_types_supported":[],`+
			`"grant_types_supported":["client_credentials","password","refresh_token"],`+
			`"scopes_supported":["read","write"],`+
			`"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],`+
			`"revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],`+
			`"introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]}`)
		f.wantHeader(a, "Content-Type", "application/json")
		f.wantHeader(a, "Access-Control-Allow-Origin", "*")
		if a.outcome != (auth.Outcome{Reason: auth.OK}) || f.observed != nil {
			t.Errorf("%+v, %q", a.outcome, f.observed)
		}
	}
}

func TestMetadataOfTheHostThatIsAsked(t *testing.T) {
	f := newFixture(t, "oauth2", func(cfg *Config) { cfg.Issuer, cfg.Path = "", "/" })
	const rest = `"response_types_supported":[],"grant_types_supported":[]}`
	r := request(t, "GET /.well-known/oauth-authorization-server")
	f.want(f.serve(r), 200, `{"issuer":"http://gw.example.com","token_endpoint":"http://gw.example.com/token",`+
		`"revocation_endpoint":"http://gw.example.com/revoke","introspection_endpoint":"http://gw.example.com/introspect",`+
		`"jwks_uri":"http://gw.example.com/.well-known/jwks.json",`+rest)
	r.TLS = new(tls.ConnectionState)
	r.Host = `h"x`
	f.want(f.serve(r), 200, `{"issuer":"https://h\"x","token_endpoint":"https://h\"x/token",`+
		`"revocation_endpoint":"https://h\"x/revoke","introspection_endpoint":"https://h\"x/introspect",`+
		`"jwks_uri":"https://h\"x/.well-known/jwks.json",`+rest)
}

func TestMetadataBelowTheIssuersPath(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://auth.example.com":         "",
		"https://auth.example.com/":        "",
		"https://auth.example.com/tenant":  "/.well-known/oauth-authorization-server/tenant",
		"https://auth.example.com/a/b/":    "/.well-known/oauth-authorization-server/a/b",
		"https://auth.example.com/a/../b":  "",
		"https://auth.example.com/%7Bx%7D": "",
		"urn:example:auth":                 "",
		"https://[::1/tenant":              "",
		"gatehouse":                        "",
		"":                                 "",
	} {
		f := newFixture(t, "oauth2", func(cfg *Config) { cfg.Issuer = issuer })
		got := slices.DeleteFunc(f.endpoint.Paths(), func(p string) bool { return slices.Contains(oauth2Paths, p) })
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", issuer, got, want)
			continue
		}
		if want != "" {
			if a := f.send("GET " + want); a.Code != 200 {
				t.Errorf("%s: %d %s", want, a.Code, a.Body)
			}
		}
	}
}

func TestJWKS(t *testing.T) {
	f := newFixture(t, "oauth2")
	a := f.send("GET /.well-known/jwks.json\nOrigin: https://elsewhere.example")
	f.want(a, 200, `{"keys":[{"kty":"EC","kid":"k1"}]}`)
	f.wantHeader(a, "Access-Control-Allow-Origin", "*")
	f.cfg.JWKS = func() []byte { return []byte("{") }
	var err error
	if f.endpoint, err = New(f.cfg); err != nil {
		t.Fatal(err)
	}
	f.want(f.send("GET /.well-known/jwks.json"), 500, `{"error":"server_error","error_description":"The gateway failed to handle the request"}`)
	f.want(f.send("POST /.well-known/jwks.json"), 405, `{"error":"invalid_request","error_description":"The method is not allowed here"}`)
}

// They are for everybody, also where the operations ask for an API key.
func TestWellKnownDocumentsNeedNoAPIKey(t *testing.T) {
	f := newFixture(t, "oauth2", func(cfg *Config) { cfg.APIKeyHeader, cfg.Issuer = "Api-Key", "https://auth.example.com/tenant" })
	f.caller.Decision.Reason = auth.APIKeyMissing
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/tenant"} {
		if a := f.send("GET " + path); a.Code != 200 {
			t.Errorf("%s: %d", path, a.Code)
		}
	}
	a := f.send("POST /oauth2/token")
	f.want(a, 401, `{"error":"invalid_client","error_description":"The API key is missing"}`)
	f.wantHeader(a, "WWW-Authenticate", `ApiKey header="Api-Key"`)
}

// Who verifies tokens elsewhere has a new key before it signs.
func TestKeysAreCachedNoLongerThanTheyArePublished(t *testing.T) {
	for given, want := range map[time.Duration]string{0: "300", time.Minute: "60", time.Hour: "300"} {
		f := newFixture(t, "oauth2", func(cfg *Config) { cfg.MaxAge = given })
		w := httptest.NewRecorder()
		f.endpoint.ServeLocal(w, httptest.NewRequest("GET", "/.well-known/jwks.json", nil), f.caller)
		if got := w.Header().Get("Cache-Control"); got != "public, max-age="+want {
			t.Errorf("%s: %s", given, got)
		}
	}
}
