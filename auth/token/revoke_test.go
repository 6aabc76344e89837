package token

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestRevoke(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name  string
		r     Request
		token func(Grant) string
	}{
		{"access token", with("backend", "backend-secret"), func(g Grant) string { return g.AccessToken }},
		{"refresh token", with("backend", "backend-secret"), func(g Grant) string { return g.RefreshToken }},
		{"access token of a public client", with("web", ""), func(g Grant) string { return g.AccessToken }},
		{"refresh token of a public client", with("web", ""), func(g Grant) string { return g.RefreshToken }},
		{"renewed token", with("web", ""), func(g Grant) string { return f.renew(g.AccessToken) }},
		{"used refresh token", with("web", ""), func(g Grant) string { f.refreshed(with("web", ""), g.RefreshToken); return g.RefreshToken }},
		{"of an API key", apiKey("mobile"), func(g Grant) string { return g.AccessToken }},
	} {
		g := f.login(c.r)
		want(t, c.name, f.Revoke(ctx, Revocation{Request: c.r, Token: c.token(g)}), auth.OK)
		if f.store.sessions[g.SessionID] != nil || f.state(g.AccessToken) != auth.TokenRevoked {
			t.Errorf("%s: the session goes on", c.name)
		}
		lines := f.logged("session ended: logout")
		if n := len(lines); n == 0 || lines[n-1]["sid"] != g.SessionID {
			t.Errorf("%s: %v", c.name, lines)
		}
	}
	g, err := f.ClientCredentials(ctx, ClientCredentialsGrant{Request: with("reporting", clientSecret)})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "client credentials", f.Revoke(ctx, Revocation{Request: with("reporting", clientSecret), Token: g.AccessToken}), auth.OK)
	if f.state(g.AccessToken) != auth.TokenRevoked {
		t.Error("client credentials: the token is good")
	}
}

func TestA14OthersTokensAreNotRevoked(t *testing.T) {
	f := newFixture(t)
	mine := f.login(with("web", ""))
	nobodys := f.login(from("192.0.2.1"))
	forged := newRefreshToken(mine.SessionID)
	elsewhere := newRefreshToken(NewSessionID("other", "u1"))
	f.store.sessions[elsewhere.sessionID()] = &fakeSession{Session: Session{
		ID: elsewhere.sessionID(), Issuer: "other", Subject: "u1", ClientID: "web", Expires: f.clock.Add(time.Hour), Refresh: elsewhere.hashes(),
	}}
	for name, c := range map[string]struct {
		r     Request
		token string
	}{
		"another client's access token":  {with("backend", "backend-secret"), mine.AccessToken},
		"another client's refresh token": {with("backend", "backend-secret"), mine.RefreshToken},
		"no client's access token":       {with("web", ""), nobodys.AccessToken},
		"no client's refresh token":      {with("web", ""), nobodys.RefreshToken},
		"forged refresh token":           {with("web", ""), forged.encode()},
		"refresh token of no session":    {with("web", ""), newRefreshToken(NewSessionID("main", "u1")).encode()},
		"another issuer's refresh token": {with("web", ""), elsewhere.encode()},
		"no token at all":                {with("web", ""), "nope"},
		"forged access token":            {with("web", ""), mine.AccessToken[:len(mine.AccessToken)-4] + "AAAA"},
	} {
		want(t, name, f.Revoke(ctx, Revocation{Request: c.r, Token: c.token}), auth.OK)
	}
	if len(f.list.entries) != 0 || len(f.store.sessions) != 3 {
		t.Errorf("revoked: %v", f.list.entries)
	}
	want(t, "own", f.Revoke(ctx, Revocation{Request: with("web", ""), Token: mine.AccessToken}), auth.OK)
	want(t, "own again", f.Revoke(ctx, Revocation{Request: with("web", ""), Token: mine.AccessToken}), auth.OK)
	f.wait(2 * time.Hour)
	want(t, "expired", f.Revoke(ctx, Revocation{Request: with("web", ""), Token: nobodys.AccessToken}), auth.OK)
}

func TestRevokeIsRefused(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("backend", "backend-secret"))
	for name, c := range map[string]struct {
		r     Request
		token string
		want  auth.Reason
	}{
		"nobody":                          {from("192.0.2.1"), g.AccessToken, auth.ClientInvalid},
		"optional and unknown":            {Request{Client: ClientAuth{ID: "x", Optional: true}}, g.AccessToken, auth.ClientInvalid},
		"confidential without its secret": {with("backend", ""), g.AccessToken, auth.ClientInvalid},
		"wrong secret":                    {with("backend", "x"), g.RefreshToken, auth.ClientInvalid},
		"no token":                        {with("backend", "backend-secret"), "", auth.RequestMalformed},
	} {
		err := f.Revoke(ctx, Revocation{Request: c.r, Token: c.token})
		want(t, name, err, c.want)
		if name == "wrong secret" && !strings.Contains(err.Error(), "did not authenticate as it must") {
			t.Errorf("the log says %v", err)
		}
	}
	f.list.stale = true
	want(t, "a list that is too old", f.Revoke(ctx, Revocation{Request: with("backend", "backend-secret"), Token: g.AccessToken}), auth.RevocationStale)
	f.store.failing["Session"] = errors.New("down")
	want(t, "store down", f.Revoke(ctx, Revocation{Request: with("backend", "backend-secret"), Token: g.RefreshToken}), auth.StoreUnavailable)
	if len(f.list.entries) != 0 {
		t.Error("something was revoked")
	}
}
