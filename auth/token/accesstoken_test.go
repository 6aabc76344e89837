package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestAccessTokenWithoutWhatIsEmpty(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Issuer.Issuer, c.Issuer.AnyAudience, c.Audience = "", true, ""
		c.Users.(*fakeUsers).users["jane@example.com"] = User{ID: "u\"1\\", Username: "jane@example.com"}
	})
	g := f.login(from("192.0.2.1"))
	got := claimsOf(t, g.AccessToken)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{"auth_time", "exp", "iat", "jti", "nbf", "sid", "sub"}) || got["sub"] != "u\"1\\" {
		t.Errorf("%v", got)
	}
	if f.state(g.AccessToken) != auth.OK {
		t.Error(f.state(g.AccessToken))
	}
}

func TestAccessTokenType(t *testing.T) {
	secret, err := auth.NewSecretKey("s1", "HS256", []byte(partnerSecret+"0"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	f.issuer.Keys = auth.NewStaticKeys([]*auth.Key{secret})
	f.cfg.Clients = f.cfg.Clients[:4]
	f.build()
	if h := part(t, f.login(from("192.0.2.1")).AccessToken, 0); h["typ"] != "JWT" || h["alg"] != "HS256" || h["kid"] != "s1" {
		t.Errorf("header %v", h)
	}
}

// Claims that are ours are ours, whatever a user's record has.
func TestReservedClaims(t *testing.T) {
	f := newFixture(t)
	f.users.set("jane@example.com", func(u *User) {
		u.Email = ""
		for name := range reservedClaims {
			u.Claims[name] = json.RawMessage(`"forged"`)
		}
	})
	for name, value := range claimsOf(t, f.login(with("web", "")).AccessToken) {
		if value == "forged" {
			t.Errorf("%s is the record's", name)
		}
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "auth_time", "client_id", "azp", "scope", "scp", "cnf", "act"} {
		if !ReservedClaim(name) {
			t.Errorf("%s is free", name)
		}
	}
	if ReservedClaim("email") || ReservedClaim("roles") {
		t.Error("email or roles is not")
	}
	f.users.set("jane@example.com", func(u *User) {
		u.Email = "jane@example.com"
		u.Claims = map[string]json.RawMessage{"email": json.RawMessage(`"other@example.com"`)}
	})
	if got := claimsOf(t, f.login(from("192.0.2.1")).AccessToken)["email"]; got != "jane@example.com" {
		t.Errorf("email %v", got)
	}
	if string(f.users.users["jane@example.com"].Claims["email"]) != `"other@example.com"` {
		t.Error("the source's claims were changed")
	}
}

func TestA16TokenIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newTokenID()
		raw, err := encoding.DecodeString(id)
		if err != nil || len(raw) != 16 || seen[id] {
			t.Fatalf("%q: %d bytes, %v", id, len(raw), err)
		}
		seen[id] = true
	}
}

func TestAccessTokenThatIsTooLarge(t *testing.T) {
	f := newFixture(t)
	first := f.login(from("192.0.2.1"))
	f.users.set("jane@example.com", func(u *User) { u.Claims["big"] = json.RawMessage(`"` + strings.Repeat("x", 3000) + `"`) })
	g, err := f.Password(ctx, PasswordGrant{Username: "jane@example.com", Password: password})
	wantNothing(t, "login", g, err, auth.Undecided)
	if lines := f.logged("token not issued"); len(lines) != 1 || lines[0]["sub"] != "u1" || lines[0]["level"] != "ERROR" ||
		!strings.Contains(lines[0]["error"].(string), "4096") {
		t.Errorf("%v", lines)
	}
	g, err = f.refresh(from("192.0.2.1"), first.RefreshToken)
	wantNothing(t, "refresh", g, err, auth.Undecided)
	fits := accessToken{subject: "u1", authTime: f.clock, life: time.Hour}
	g, err = f.sign(f.clock, fits)
	want(t, "one that fits", err, auth.OK)
	f.issuer.MaxTokenBytes = len(g.AccessToken)
	_, err = f.sign(f.clock, fits)
	want(t, "one that just fits", err, auth.OK)
	f.issuer.MaxTokenBytes--
	_, err = f.sign(f.clock, fits)
	want(t, "one byte too many", err, auth.Undecided)
	if f.store.rotated != 0 || len(f.store.sessions) != 1 {
		t.Error("the store was changed")
	}
}

func TestKeysUnavailable(t *testing.T) {
	f := newFixture(t)
	first := f.login(with("web", ""))
	f.issuer.Keys = auth.NewStaticKeys([]*auth.Key{verifier(t, f)})
	g, err := f.Password(ctx, PasswordGrant{Username: "jane@example.com", Password: password})
	wantNothing(t, "login", g, err, auth.KeysUnavailable)
	g, err = f.refresh(with("web", ""), first.RefreshToken)
	wantNothing(t, "refresh", g, err, auth.KeysUnavailable)
	g, err = f.ClientCredentials(ctx, ClientCredentialsGrant{Request: with("reporting", clientSecret)})
	wantNothing(t, "client credentials", g, err, auth.KeysUnavailable)
	g, err = f.exchange(first.AccessToken)
	wantNothing(t, "exchange", g, err, auth.KeysUnavailable)
	if f.store.rotated != 0 || len(f.store.sessions) != 1 || len(f.list.entries) != 0 {
		t.Error("the store was changed")
	}
}

// A store that fails means no token, and a client that has gone is no failure.
func TestA17NoTokenWithoutTheStore(t *testing.T) {
	for _, c := range []struct {
		failing string
		do      func(*fixture, context.Context, Grant) (Grant, error)
	}{
		{"Take", password1},
		{"PutSession", password1},
		{"Session", refresh1},
		{"RotateSession", refresh1},
		{"Session", exchange1},
		{"Revoke", exchange1},
	} {
		f := newFixture(t)
		first := f.login(with("web", ""))
		f.store.failing[c.failing] = errors.New("dial tcp: connection refused")
		g, err := c.do(f, ctx, first)
		wantNothing(t, c.failing, g, err, auth.StoreUnavailable)
		if e := err.(*Error); e.Detail != "" || !strings.Contains(e.Error(), "refused") {
			t.Errorf("%s: %v", c.failing, e)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		g, err = c.do(f, gone, first)
		wantNothing(t, c.failing+", client gone", g, err, auth.ClientClosed)
	}
}

func password1(f *fixture, c context.Context, _ Grant) (Grant, error) {
	return f.Password(c, PasswordGrant{Request: with("web", ""), Username: "jane@example.com", Password: password})
}

func refresh1(f *fixture, c context.Context, g Grant) (Grant, error) {
	return f.Refresh(c, RefreshGrant{Request: with("web", ""), RefreshToken: g.RefreshToken})
}

func exchange1(f *fixture, c context.Context, g Grant) (Grant, error) {
	return f.Exchange(c, Exchange{bearer(g.AccessToken)})
}

func TestLogsHoldNoSecrets(t *testing.T) {
	f := newFixture(t)
	debug := new(bytes.Buffer)
	f.cfg.Log = slog.New(slog.NewTextHandler(debug, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.build()
	r := with("backend", "backend-secret")
	first := f.login(r)
	second := f.refreshed(r, first.RefreshToken)
	third := f.exchanged(f.login(with("web", "")).AccessToken)
	_, partnerErr := f.ClientSecret(ctx, ClientSecretGrant{APIKey: partnerKey, Secret: partnerSecret})
	_ = f.try("192.0.2.1", "jane@example.com")
	f.wait(time.Minute)
	if _, err := f.refresh(r, first.RefreshToken); err == nil || partnerErr != nil {
		t.Fatal(err, partnerErr)
	}
	for _, secret := range []string{
		password, "wrong", "jane", "backend-secret", partnerKey, partnerSecret,
		first.RefreshToken, second.RefreshToken, first.AccessToken, second.AccessToken, third.AccessToken,
	} {
		if strings.Contains(debug.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}
