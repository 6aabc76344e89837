package token

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestA11ClientAuthentication(t *testing.T) {
	f := newFixture(t)
	type result struct {
		id     string
		proven bool
	}
	for _, c := range []struct {
		name string
		auth ClientAuth
		want *result // nil: refused
	}{
		{"nobody", ClientAuth{}, &result{}},
		{"public", ClientAuth{ID: "web"}, &result{"web", false}},
		{"confidential", ClientAuth{ID: "reporting", Secret: clientSecret}, &result{"reporting", true}},
		{"api key", ClientAuth{ID: "mobile", APIKey: true}, &result{"mobile", true}},
		{"api key, optional", ClientAuth{ID: "mobile", APIKey: true, Optional: true}, &result{"mobile", true}},
		{"optional and unknown", ClientAuth{ID: "account", Secret: "x", Optional: true}, &result{}},
		{"optional and known", ClientAuth{ID: "web", Optional: true}, &result{"web", false}},
		{"optional, wrong secret", ClientAuth{ID: "reporting", Secret: "x", Optional: true}, nil},
		{"optional, no secret", ClientAuth{ID: "reporting", Optional: true}, nil},
		{"unknown", ClientAuth{ID: "account"}, nil},
		{"unknown with a secret", ClientAuth{ID: "account", Secret: clientSecret}, nil},
		{"wrong secret", ClientAuth{ID: "reporting", Secret: "reporting-secret-012345678"}, nil},
		{"no secret", ClientAuth{ID: "reporting"}, nil},
		{"another's secret", ClientAuth{ID: "backend", Secret: clientSecret}, nil},
		{"public with a secret", ClientAuth{ID: "web", Secret: "x"}, nil},
		{"public with the secret that there is not", ClientAuth{ID: "web", Secret: string(make([]byte, 32))}, nil},
		{"with its signing secret", ClientAuth{ID: "partner-1", Secret: partnerSecret}, nil},
		{"secret without a client", ClientAuth{Secret: clientSecret}, nil},
		{"api key of nobody", ClientAuth{APIKey: true, Secret: "x"}, nil},
	} {
		p, err := f.party(c.auth)
		if c.want == nil {
			want(t, c.name, err, auth.ClientInvalid)
			continue
		}
		if err != nil || p.name() != c.want.id || (p != nil && p.proven) != c.want.proven || (p == nil) != (c.want.id == "") {
			t.Errorf("%s: %+v %v", c.name, p, err)
		}
	}
	_, unknown := f.party(ClientAuth{ID: "account", Secret: "x"})
	_, wrong := f.party(ClientAuth{ID: "reporting", Secret: "x"})
	if unknown.Error() != wrong.Error() {
		t.Errorf("an unknown client: %v, a wrong secret: %v", unknown, wrong)
	}
}

func TestClientCredentials(t *testing.T) {
	f := newFixture(t)
	g, err := f.ClientCredentials(ctx, ClientCredentialsGrant{Request: with("reporting", clientSecret)})
	if err != nil {
		t.Fatal(err)
	}
	got := claimsOf(t, g.AccessToken)
	unix := f.clock.Unix()
	for name, want := range map[string]any{
		"sub": "reporting", "client_id": "reporting", "scope": "red-marker-review reports", "aud": "api", "iss": "https://auth.example.com",
		"exp": num(unix + 900), "iat": num(unix), "nbf": num(unix), "auth_time": num(unix), "jti": g.TokenID, "sid": g.SessionID,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 11 || g.ExpiresIn != 15*time.Minute || g.RefreshToken != "" || !sessionIsOf(g.SessionID, "main", "reporting") || f.state(g.AccessToken) != auth.OK {
		t.Errorf("%+v, claims %v", g, got)
	}
	if len(f.store.calls) != 0 {
		t.Errorf("the store was asked: %v", f.store.calls)
	}
	g, err = f.ClientCredentials(ctx, ClientCredentialsGrant{Request: with("reporting", clientSecret), Scopes: []string{"reports"}})
	if err != nil || !slices.Equal(g.Scopes, []string{"reports"}) || claimsOf(t, g.AccessToken)["scope"] != "reports" {
		t.Errorf("%v %v", g.Scopes, err)
	}
	for _, c := range []struct {
		name   string
		r      Request
		scopes []string
		want   auth.Reason
	}{
		{"nobody", from("192.0.2.1"), nil, auth.ClientInvalid},
		{"public", with("web", ""), nil, auth.ClientInvalid},
		{"wrong secret", with("reporting", "x"), nil, auth.ClientInvalid},
		{"without the grant", with("backend", "backend-secret"), nil, auth.ClientForbidden},
		{"api key", apiKey("reporting"), nil, auth.ClientForbidden},
		{"scope", with("reporting", clientSecret), []string{"reports", "admin"}, auth.ScopeInvalid},
	} {
		g, err := f.ClientCredentials(ctx, ClientCredentialsGrant{Request: c.r, Scopes: c.scopes})
		wantNothing(t, c.name, g, err, c.want)
		if c.name == "wrong secret" && !strings.Contains(err.Error(), "did not authenticate as it must") {
			t.Errorf("the log says %v", err)
		}
	}
}

func TestClientSecret(t *testing.T) {
	f := newFixture(t)
	g, err := f.ClientSecret(ctx, ClientSecretGrant{APIKey: partnerKey, Secret: partnerSecret})
	if err != nil {
		t.Fatal(err)
	}
	got := claimsOf(t, g.AccessToken)
	if h := part(t, g.AccessToken, 0); h["alg"] != "HS256" || h["kid"] != "partner-1" || h["typ"] != "JWT" {
		t.Errorf("header %v", h)
	}
	for name, want := range map[string]any{"sub": "partner-1", "client_id": "partner-1", "scope": "orders:read", "sid": g.SessionID, "jti": g.TokenID} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 11 || g.ExpiresIn != time.Hour || g.RefreshToken != "" || f.state(g.AccessToken) != auth.OK {
		t.Errorf("%+v, claims %v, the data plane says %s", g, got, f.state(g.AccessToken))
	}
	var errs []error
	for _, c := range []struct {
		name, key, secret string
		want              auth.Reason
	}{
		{"no key", "", partnerSecret, auth.RequestMalformed},
		{"no secret", partnerKey, "", auth.RequestMalformed},
		{"unknown key", "gh_unknown", partnerSecret, auth.ClientInvalid},
		{"wrong secret", partnerKey, partnerSecret + "x", auth.ClientInvalid},
		{"expired key", "old", partnerSecret, auth.ClientInvalid},
	} {
		g, err := f.ClientSecret(ctx, ClientSecretGrant{APIKey: c.key, Secret: c.secret})
		wantNothing(t, c.name, g, err, c.want)
		if c.want == auth.ClientInvalid {
			errs = append(errs, err)
		}
	}
	for _, err := range errs[1:] {
		if err.Error() != errs[0].Error() {
			t.Errorf("the errors differ: %v, %v", err, errs[0])
		}
	}
	f.list.stale = true
	g, err = f.ClientSecret(ctx, ClientSecretGrant{APIKey: partnerKey, Secret: partnerSecret})
	wantNothing(t, "stale list", g, err, auth.RevocationStale)
	f.list.stale = false
	f.list.add(auth.Revocation{Kind: auth.KindAPIKey, ID: "partner-1-key", Until: f.clock.Add(time.Hour)})
	g, err = f.ClientSecret(ctx, ClientSecretGrant{APIKey: partnerKey, Secret: partnerSecret})
	wantNothing(t, "revoked key", g, err, auth.ClientInvalid)
}

// The client's secret may leave the issuer's keys while the engine lives, by a
// key with that name.
func TestClientSecretWithoutItsKey(t *testing.T) {
	f := newFixture(t)
	f.issuer.Keys = auth.NewStaticKeys([]*auth.Key{f.signer})
	g, err := f.ClientSecret(ctx, ClientSecretGrant{APIKey: partnerKey, Secret: partnerSecret})
	wantNothing(t, "no key", g, err, auth.KeysUnavailable)
}

func TestClientConfiguration(t *testing.T) {
	sum := sha256.Sum256([]byte("x"))
	secret := []byte(partnerSecret + "x")
	for name, c := range map[string]struct {
		Client
		ok bool
	}{
		"good":                      {Client{ID: "x", Grants: []GrantType{GrantClientSecret}, APIKeyID: "k", SigningSecret: secret}, true},
		"shortest life":             {Client{ID: "x", AccessTTL: time.Second}, true},
		"longest life":              {Client{ID: "x", AccessTTL: 24 * time.Hour}, true},
		"no id":                     {Client{Grants: []GrantType{GrantPassword}}, false},
		"two with an id":            {Client{ID: "web"}, false},
		"life below a second":       {Client{ID: "x", AccessTTL: time.Millisecond}, false},
		"negative life":             {Client{ID: "x", AccessTTL: -time.Hour}, false},
		"life above the issuer's":   {Client{ID: "x", AccessTTL: 24*time.Hour + time.Second}, false},
		"no secret":                 {Client{ID: "x", Grants: []GrantType{GrantClientCredentials}}, false},
		"no API key":                {Client{ID: "x", Grants: []GrantType{GrantClientSecret}, SigningSecret: secret}, false},
		"API key of another":        {Client{ID: "x", Grants: []GrantType{GrantClientSecret}, SigningSecret: secret, APIKeyID: "partner-1-key"}, false},
		"no signing secret":         {Client{ID: "x", SecretSHA256: sum, Grants: []GrantType{GrantClientSecret}, APIKeyID: "k"}, false},
		"id of a key of the issuer": {Client{ID: "k1", Grants: []GrantType{GrantClientSecret}, APIKeyID: "k"}, false},
	} {
		f := newFixture(t)
		f.cfg.Clients = append(f.cfg.Clients, c.Client)
		f.issuer.Keys = nil
		if err := f.make(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
