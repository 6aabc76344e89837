package token

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func (f *fixture) exchange(token string) (Grant, error) {
	return f.Exchange(ctx, Exchange{bearer(token)})
}

func (f *fixture) exchanged(token string) Grant {
	f.t.Helper()
	g, err := f.exchange(token)
	if err != nil {
		f.t.Fatal(err)
	}
	return g
}

func TestExchange(t *testing.T) {
	f := newFixture(t)
	first := f.login(with("web", ""), "orders:read")
	began := f.clock.Unix()
	f.wait(50 * time.Minute)
	f.users.set("jane@example.com", func(u *User) { u.Claims = map[string]json.RawMessage{"roles": json.RawMessage(`"new"`)} })
	second := f.exchanged(first.AccessToken)
	unix := f.clock.Unix()
	if got, want := claimsOf(t, second.AccessToken), map[string]any{
		"iss": "https://auth.example.com", "sub": "u1", "aud": "api", "jti": second.TokenID, "sid": first.SessionID,
		"iat": num(unix), "nbf": num(unix), "exp": num(unix + 3600), "auth_time": num(began),
		"client_id": "web", "scope": "orders:read", "email": "jane@example.com", "roles": "new",
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
	if second.SessionID != first.SessionID || second.TokenID == first.TokenID || second.RefreshToken != "" || second.ExpiresIn != time.Hour || second.User.ID != "u1" {
		t.Errorf("%+v", second)
	}
	if f.state(first.AccessToken) != auth.TokenRevoked || f.state(second.AccessToken) != auth.OK {
		t.Errorf("the first is %s, the second %s", f.state(first.AccessToken), f.state(second.AccessToken))
	}
	f.refreshed(with("web", ""), first.RefreshToken)
	f.cfg.Clients[0].Scopes, f.cfg.Clients[0].AccessTTL = []string{"orders:write"}, time.Minute
	f.build()
	if third := f.exchanged(second.AccessToken); len(third.Scopes) > 0 || third.ExpiresIn != time.Minute {
		t.Errorf("by the client's configuration of now: %+v", third)
	}
}

func TestR24ATokenIsExchangedOnce(t *testing.T) {
	f := newFixture(t)
	g := f.login(from("192.0.2.1"))
	f.exchanged(g.AccessToken)
	again, err := f.exchange(g.AccessToken)
	wantNothing(t, "the second time", again, err, auth.TokenRevoked)
}

// meanwhile is a Revoker that does something else first, once.
type meanwhile struct {
	Revoker
	do func()
}

func (m *meanwhile) Revoke(ctx context.Context, r auth.Revocation) error {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return m.Revoker.Revoke(ctx, r)
}

// Who has copied a token can exchange it at the same moment, and shares its
// owner's session: the one's logout is the other's.
func TestR07ExchangedAtOnceIsOneSession(t *testing.T) {
	f := newFixture(t)
	for name, token := range map[string]string{
		"ours":              f.login(from("192.0.2.1")).AccessToken,
		"from elsewhere":    f.mint(map[string]any{"jti": "t10", "sid": "s10"}),
		"without a session": f.mint(map[string]any{"jti": "t11"}),
		"without an id":     f.mint(map[string]any{"jti": nil}),
	} {
		var thief Grant
		f.cfg.Revoker = &meanwhile{f.store, func() { thief = f.exchanged(token) }}
		f.build()
		owner := f.exchanged(token)
		if thief.AccessToken == "" || thief.TokenID == owner.TokenID || f.state(thief.AccessToken) != auth.OK {
			t.Fatalf("%s: %+v and %+v", name, owner, thief)
		}
		if _, err := f.Logout(ctx, Logout{bearer(owner.AccessToken)}); err != nil {
			t.Error(err)
		}
		if r := f.state(thief.AccessToken); r != auth.TokenRevoked {
			t.Errorf("%s: after the owner's logout the other's token is %s", name, r)
		}
	}
}

func TestR22NothingDeadIsExchanged(t *testing.T) {
	f := newFixture(t)
	revoked := f.login(from("192.0.2.1"))
	if err := f.end(ctx, revoked.SessionID); err != nil {
		t.Fatal(err)
	}
	g, err := f.exchange(revoked.AccessToken)
	wantNothing(t, "revoked", g, err, auth.TokenRevoked)
	expired := f.login(from("192.0.2.1"))
	f.wait(time.Hour + 11*time.Second)
	g, err = f.exchange(expired.AccessToken)
	wantNothing(t, "expired", g, err, auth.TokenExpired)
	g, err = f.exchange(expired.AccessToken[:len(expired.AccessToken)-4] + "AAAA")
	wantNothing(t, "forged", g, err, auth.TokenUntrusted)
	g, err = f.Exchange(ctx, Exchange{from("192.0.2.1")})
	wantNothing(t, "none", g, err, auth.TokenMissing)
	// A session that is over has no revocation when it just ended by itself.
	over := f.login(from("192.0.2.1"))
	delete(f.store.sessions, over.SessionID)
	g, err = f.exchange(over.AccessToken)
	wantNothing(t, "of no session", g, err, auth.TokenRevoked)
	disabled := f.login(from("192.0.2.1"))
	f.users.set("jane@example.com", func(u *User) { u.Source = "" })
	g, err = f.exchange(disabled.AccessToken)
	wantNothing(t, "of a disabled user", g, err, auth.TokenRevoked)
	if f.state(disabled.AccessToken) != auth.TokenRevoked {
		t.Error("the disabled user's session goes on")
	}
}

func TestR02AReplayedSessionIsNotExchanged(t *testing.T) {
	f := newFixture(t)
	g := f.login(from("192.0.2.1"))
	f.store.sessions[g.SessionID].Replayed = true // while it could not be ended
	f.store.failing["Revoke"] = errors.New("down")
	got, err := f.exchange(g.AccessToken)
	wantNothing(t, "store down", got, err, auth.StoreUnavailable)
	delete(f.store.failing, "Revoke")
	got, err = f.exchange(g.AccessToken)
	wantNothing(t, "replayed", got, err, auth.TokenRevoked)
	if f.store.sessions[g.SessionID] != nil || f.state(g.AccessToken) != auth.TokenRevoked || len(f.logged("refresh token replayed: session ended")) != 1 {
		t.Error("the session goes on")
	}
}

func TestExchangeIsCapped(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxSession = 90 * time.Minute })
	began := f.clock.Unix()
	g := f.login(from("192.0.2.1"))
	f.wait(59 * time.Minute)
	g = f.exchanged(g.AccessToken)
	if g.ExpiresIn != 31*time.Minute || claimsOf(t, g.AccessToken)["exp"] != num(began+90*60) {
		t.Errorf("%s, %v", g.ExpiresIn, claimsOf(t, g.AccessToken))
	}
	f.wait(31 * time.Minute) // the leeway still lets it in
	got, err := f.exchange(g.AccessToken)
	wantNothing(t, "past the cap", got, err, auth.TokenExpired)
	foreign := f.mint(map[string]any{"auth_time": f.clock.Unix() - 89*60})
	if g := f.exchanged(foreign); g.ExpiresIn != time.Minute || claimsOf(t, g.AccessToken)["exp"] != num(f.clock.Unix()+60) {
		t.Errorf("a token from elsewhere: %s", g.ExpiresIn)
	}
}

// A client that has a secret gets its tokens with it: one that has leaked must
// not be good for longer than it says.
func TestExchangeIsNotForClientsThatAuthenticate(t *testing.T) {
	f := newFixture(t)
	own, err := f.ClientCredentials(ctx, ClientCredentialsGrant{Request: with("reporting", clientSecret)})
	if err != nil {
		t.Fatal(err)
	}
	for what, compact := range map[string]string{
		"its own": own.AccessToken, "a user's": f.login(with("backend", "backend-secret")).AccessToken,
	} {
		g, err := f.exchange(compact)
		wantNothing(t, what, g, err, auth.ClientForbidden)
		if f.state(compact) != auth.OK {
			t.Errorf("%s: the token was revoked", what)
		}
	}
}

func TestExchangeOfAClientThatIsGone(t *testing.T) {
	f := newFixture(t)
	gone := f.login(with("web", ""))
	f.cfg.Clients = f.cfg.Clients[1:]
	f.build()
	if g := f.exchanged(gone.AccessToken); len(g.Scopes) > 0 || claimsOf(t, g.AccessToken)["scope"] != nil {
		t.Errorf("scopes of a client that is gone: %q", g.Scopes)
	}
}

// The ids in a token that a client has signed itself may be anybody's.
func TestJ36ClientsCannotChooseWhatIsRevoked(t *testing.T) {
	f := newFixture(t)
	jane := f.login(from("192.0.2.1"))
	sign := func(claims map[string]any) string {
		all := map[string]any{
			"iss": f.issuer.Issuer, "sub": "partner-1", "client_id": "partner-1", "aud": "api",
			"iat": f.clock.Unix(), "exp": f.clock.Unix() + 600, "jti": jane.TokenID, "sid": jane.SessionID,
		}
		for name, value := range claims {
			all[name] = value
		}
		token, err := auth.Sign(f.issuer.Keys.Find("partner-1"), "JWT", all)
		if err != nil || f.state(token) != auth.OK {
			t.Fatal(err, f.state(token))
		}
		return token
	}
	for name, token := range map[string]string{
		"her session":      sign(nil),
		"her token":        sign(map[string]any{"sid": NewSessionID("main", "partner-1")}),
		"another issuer's": sign(map[string]any{"sid": NewSessionID("other", "partner-1")}),
	} {
		g, err := f.exchange(token)
		wantNothing(t, "exchange: "+name, g, err, auth.TokenUntrusted)
		if name != "her token" {
			_, err = f.Logout(ctx, Logout{bearer(token)})
			want(t, "logout: "+name, err, auth.TokenUntrusted)
			r := with("partner-1", "")
			want(t, "revoke: "+name, f.Revoke(ctx, Revocation{Request: r, Token: token}), auth.OK)
		}
		if f.state(jane.AccessToken) != auth.OK || f.store.sessions[jane.SessionID] == nil {
			t.Fatalf("%s: somebody else was logged out", name)
		}
	}
	own := sign(map[string]any{"sid": NewSessionID("main", "partner-1")})
	if _, err := f.Logout(ctx, Logout{bearer(own)}); err != nil || f.state(own) != auth.TokenRevoked || f.state(jane.AccessToken) != auth.OK {
		t.Errorf("its own session: %v, %s", err, f.state(own))
	}
}

func TestJ36ExchangeOfTokensFromElsewhere(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name    string
		claims  map[string]any
		session string // empty: a new one
	}{
		{"no sid", nil, ""},
		{"sid like jti", map[string]any{"sid": "t9"}, ""},
		{"empty sid", map[string]any{"sid": ""}, ""},
		{"null sid", map[string]any{"sid": nil}, ""},
		{"sid", map[string]any{"sid": "s9", "auth_time": f.clock.Unix() - 60, "nbf": f.clock.Unix() - 60}, "s9"},
		{"sid of somebody's session", map[string]any{"sid": NewSessionID("main", "u1")}, "as is"},
	} {
		claims := map[string]any{"tenant": "acme", "scope": "a b", "azp": "app", "n": json.Number("12345678901234567890"), "cnf": map[string]any{"jkt": "x"}, "jti": c.name + f.clock.String()}
		for name, value := range c.claims {
			claims[name] = value
		}
		if c.claims["sid"] == "t9" {
			claims["sid"] = claims["jti"]
		}
		began := f.clock.Unix()
		if authTime, ok := c.claims["auth_time"].(int64); ok {
			began = authTime
		}
		first := f.mint(claims)
		f.wait(time.Minute)
		g := f.exchanged(first)
		got, unix := claimsOf(t, g.AccessToken), f.clock.Unix()
		want := map[string]any{
			"iss": f.issuer.Issuer, "sub": "u9", "aud": "other", "tenant": "acme", "scope": "a b", "azp": "app", "n": json.Number("12345678901234567890"),
			"cnf": map[string]any{"jkt": "x"}, "iat": num(unix), "nbf": num(unix), "exp": num(unix + 3600), "auth_time": num(began),
			"jti": g.TokenID, "sid": g.SessionID,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: claims %v, want %v", c.name, got, want)
		}
		if c.session == "s9" && g.SessionID != "s9" || c.session == "as is" && g.SessionID != claims["sid"] || c.session == "" && (g.SessionID == claims["jti"] || len(g.SessionID) != 64) {
			t.Errorf("%s: session %q", c.name, g.SessionID)
		}
		if h := part(t, g.AccessToken, 0); len(h) != 3 || h["typ"] != "JWT" || h["kid"] != "k1" {
			t.Errorf("%s: header %v", c.name, h)
		}
		if g.ExpiresIn != time.Hour || g.Subject != "u9" || !slices.Equal(g.Scopes, []string{"a", "b"}) {
			t.Errorf("%s: %+v", c.name, g)
		}
		// Revoking the old one does not take the new one along.
		if f.state(first) != auth.TokenRevoked || f.state(g.AccessToken) != auth.OK {
			t.Errorf("%s: the old one is %s, the new one %s", c.name, f.state(first), f.state(g.AccessToken))
		}
		again := f.exchanged(g.AccessToken)
		if again.SessionID != g.SessionID || f.state(again.AccessToken) != auth.OK {
			t.Errorf("%s: again %+v, %s", c.name, again, f.state(again.AccessToken))
		}
	}
	g, err := f.exchange(f.mint(map[string]any{"iat": nil}))
	wantNothing(t, "of no age", g, err, auth.TokenExpired)
	g, err = f.exchange(f.mint(map[string]any{"jti": strings.Repeat("x", 1025)}))
	wantNothing(t, "with an id that cannot be revoked", g, err, auth.TokenClaims)
	f.issuer.MaxTokenBytes = len(f.mint(map[string]any{"scope": "x"}))
	g, err = f.exchange(f.mint(nil))
	wantNothing(t, "too large when it has a session", g, err, auth.Undecided)
	f.issuer.Keys = auth.NewStaticKeys([]*auth.Key{verifier(t, f)})
	g, err = f.exchange(f.mint(nil))
	wantNothing(t, "nothing to sign with", g, err, auth.KeysUnavailable)
}

// verifier is the issuer's key without its private half.
func verifier(t *testing.T, f *fixture) *auth.Key {
	k, err := auth.NewVerificationKey("k1", "ES256", f.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Whoever signs with the issuer's key elsewhere may name a session of ours.
func TestExchangeOfATokenThatNamesASessionOfOurs(t *testing.T) {
	f := newFixture(t)
	jane := f.login(from("192.0.2.1"))
	g := f.exchanged(f.mint(map[string]any{"sub": "u1", "sid": jane.SessionID}))
	if claimsOf(t, g.AccessToken)["email"] != "jane@example.com" {
		t.Error("her own session was not found")
	}
	got, err := f.exchange(f.mint(map[string]any{"sub": "u1", "sid": jane.SessionID, "client_id": "web", "jti": "t10"}))
	wantNothing(t, "of another client", got, err, auth.TokenRevoked)
	s := f.store.sessions[jane.SessionID]
	s.Subject = "u2" // ids of two subjects that begin alike
	f.users.set("jane@example.com", func(u *User) { u.ID = "u2" })
	got, err = f.exchange(jane.AccessToken)
	wantNothing(t, "of another subject", got, err, auth.TokenRevoked)
}
