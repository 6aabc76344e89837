package token

import (
	"errors"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestIntrospect(t *testing.T) {
	f := newFixture(t)
	r := with("backend", "backend-secret")
	g := f.login(r)
	i, err := f.Introspect(ctx, Introspection{Request: r, Token: g.AccessToken})
	if err != nil || !i.Active || i.Session != nil || i.Token == nil || i.Token.ID() != g.TokenID {
		t.Errorf("access token: %+v %v", i, err)
	}
	i, err = f.Introspect(ctx, Introspection{Request: r, Token: g.RefreshToken})
	if err != nil || !i.Active || i.Token != nil || i.Session == nil || i.Session.ID != g.SessionID {
		t.Errorf("refresh token: %+v %v", i, err)
	}
	for name, c := range map[string]struct {
		r     Request
		token string
		want  auth.Reason
	}{
		"nobody":       {from("192.0.2.1"), g.AccessToken, auth.ClientInvalid},
		"public":       {with("web", ""), g.AccessToken, auth.ClientInvalid},
		"wrong secret": {with("backend", "x"), g.AccessToken, auth.ClientInvalid},
		"no token":     {r, "", auth.RequestMalformed},
	} {
		i, err := f.Introspect(ctx, Introspection{Request: c.r, Token: c.token})
		want(t, name, err, c.want)
		if i != (Introspected{}) {
			t.Errorf("%s: %+v", name, i)
		}
	}
	key := apiKey("mobile")
	if i, err := f.Introspect(ctx, Introspection{Request: key, Token: f.login(key).AccessToken}); err != nil || !i.Active {
		t.Errorf("API key: %+v %v", i, err)
	}
}

// Whatever the data plane refuses is not active, and told by nobody to be good.
func TestR21DeadTokensAreNotActive(t *testing.T) {
	f := newFixture(t)
	r := with("backend", "backend-secret")
	revoked := f.login(r)
	if _, err := f.Logout(ctx, Logout{bearer(revoked.AccessToken)}); err != nil {
		t.Fatal(err)
	}
	subject := f.login(r)
	f.users.set("joe", func(u *User) { *u = User{ID: "joe", Username: "joe", Source: "file"} })
	good, err := f.Password(ctx, PasswordGrant{Request: r, Username: "joe", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	entry, err := auth.RevocationRequest{Kind: auth.KindSubject, ID: "u1"}.Entry([]*auth.Issuer{f.issuer}, f.clock)
	if err != nil {
		t.Fatal(err)
	}
	f.list.add(entry)
	foreign, err := f.Password(ctx, PasswordGrant{Request: with("web", ""), Username: "joe", Password: password})
	if err != nil || f.state(foreign.AccessToken) != auth.OK {
		t.Fatal(err, f.state(foreign.AccessToken))
	}
	for name, token := range map[string]string{
		"good": good.AccessToken, "revoked": revoked.AccessToken, "revoked by subject": subject.AccessToken,
		"expired":        f.mint(map[string]any{"client_id": "backend", "iat": f.clock.Unix() - 100, "exp": f.clock.Unix() - 50}),
		"not yet valid":  f.mint(map[string]any{"client_id": "backend", "nbf": f.clock.Unix() + 50}),
		"other audience": f.mint(map[string]any{"client_id": "backend", "aud": "x"}),
		"other issuer":   f.mint(map[string]any{"client_id": "backend", "iss": "x"}),
		"forged":         good.AccessToken[:len(good.AccessToken)-4] + "AAAA",
		"no token":       "nope",
	} {
		i, err := f.Introspect(ctx, Introspection{Request: r, Token: token})
		want(t, name, err, auth.OK)
		state := f.state(token)
		if i.Active != (state == auth.OK) || (i.Token != nil) != i.Active {
			t.Errorf("%s: active %t, the data plane says %s", name, i.Active, state)
		}
		got, err := f.Info(ctx, Info{bearer(token)})
		want(t, "info: "+name, err, state)
		if (got != nil) != (state == auth.OK) {
			t.Errorf("info: %s: %v", name, got)
		}
	}
	if i, err := f.Introspect(ctx, Introspection{Request: r, Token: foreign.AccessToken}); err != nil || i != (Introspected{}) {
		t.Errorf("another client's: %+v %v", i, err)
	}
	_, err = f.Info(ctx, Info{from("192.0.2.1")})
	want(t, "info without a token", err, auth.TokenMissing)
	f.list.stale = true
	for _, token := range []string{good.AccessToken, good.RefreshToken} {
		_, err := f.Introspect(ctx, Introspection{Request: r, Token: token})
		want(t, "a list that is too old", err, auth.RevocationStale)
	}
	_, err = f.Info(ctx, Info{bearer(good.AccessToken)})
	want(t, "info by a list that is too old", err, auth.RevocationStale)
}

func TestR21DeadRefreshTokensAreNotActive(t *testing.T) {
	f := newFixture(t)
	r := with("backend", "backend-secret")
	inactive := func(name, token string) {
		t.Helper()
		i, err := f.Introspect(ctx, Introspection{Request: r, Token: token})
		if err != nil || i != (Introspected{}) {
			t.Errorf("%s: %+v %v", name, i, err)
		}
	}
	g := f.login(r)
	inactive("made up", newRefreshToken(g.SessionID).encode())
	inactive("of no session", newRefreshToken(NewSessionID("main", "u1")).encode())
	inactive("another client's", f.login(with("web", "")).RefreshToken)
	second := f.refreshed(r, g.RefreshToken)
	inactive("used", g.RefreshToken)
	if i, err := f.Introspect(ctx, Introspection{Request: r, Token: second.RefreshToken}); err != nil || !i.Active {
		t.Errorf("its successor: %+v %v", i, err)
	}
	f.store.sessions[g.SessionID].Replayed = true
	inactive("replayed", second.RefreshToken)
	g = f.login(r)
	f.list.add(auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: g.SessionID, Until: f.clock.Add(time.Hour)})
	inactive("revoked", g.RefreshToken)
	g = f.login(r)
	f.store.failing["Session"] = errors.New("down")
	_, err := f.Introspect(ctx, Introspection{Request: r, Token: g.RefreshToken})
	want(t, "store down", err, auth.StoreUnavailable)
	delete(f.store.failing, "Session")
	f.cfg.Clients[1].Grants = []GrantType{GrantPassword}
	f.build()
	inactive("of a client that may not refresh", g.RefreshToken)
	f.cfg.Clients[1].Grants = []GrantType{GrantRefresh}
	f.cfg.RefreshTTL = 0
	f.build()
	inactive("where none are issued any more", g.RefreshToken)
	if f.store.rotated != 1 {
		t.Error("a token was used up by asking about it")
	}
}

func TestJ18KindsOfTokensAreNotInterchangeable(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""))
	got, err := f.refresh(with("web", ""), g.AccessToken)
	wantNothing(t, "access token as refresh token", got, err, auth.GrantInvalid)
	got, err = f.exchange(g.RefreshToken)
	wantNothing(t, "refresh token as access token", got, err, auth.TokenMalformed)
	if r := f.state(g.RefreshToken); r != auth.TokenMalformed {
		t.Errorf("the data plane says of a refresh token: %s", r)
	}
	id := f.mint(map[string]any{"sid": g.SessionID, "sub": "u1"})
	got, err = f.refresh(with("web", ""), id)
	wantNothing(t, "JWT of the issuer as refresh token", got, err, auth.GrantInvalid)
}
