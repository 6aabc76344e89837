package token

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestRefresh(t *testing.T) {
	f := newFixture(t)
	first := f.login(with("web", ""))
	began := f.clock.Unix()
	f.wait(50 * time.Minute)
	second := f.refreshed(with("web", ""), first.RefreshToken)
	if second.RefreshToken == first.RefreshToken || second.SessionID != first.SessionID || second.TokenID == first.TokenID ||
		second.ExpiresIn != time.Hour || second.Subject != "u1" || second.User.Email != "jane@example.com" {
		t.Errorf("first %+v, second %+v", first, second)
	}
	got := claimsOf(t, second.AccessToken)
	unix := f.clock.Unix()
	for name, want := range map[string]any{
		"sub": "u1", "sid": first.SessionID, "client_id": "web", "scope": "orders:read orders:write", "email": "jane@example.com",
		"auth_time": num(began), "iat": num(unix), "nbf": num(unix), "exp": num(unix + 3600), "jti": second.TokenID,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if s := f.store.sessions[first.SessionID]; !s.Expires.Equal(f.clock.Add(240 * time.Hour)) {
		t.Errorf("the session ends at %s", s.Expires)
	}
	if f.state(first.AccessToken) != auth.OK || f.state(second.AccessToken) != auth.OK {
		t.Error("an access token died of the refresh")
	}
	f.wait(239 * time.Hour)
	third := f.refreshed(with("web", ""), second.RefreshToken)
	f.wait(241 * time.Hour)
	g, err := f.refresh(with("web", ""), third.RefreshToken)
	wantNothing(t, "a token that was not used in time", g, err, auth.GrantInvalid)
}

// Two round trips are what a refresh may cost.
func TestRefreshAsksTheStoreTwice(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""))
	f.store.calls = nil
	f.refreshed(with("web", ""), g.RefreshToken)
	if !slices.Equal(f.store.calls, []string{"Session", "RotateSession"}) {
		t.Errorf("calls %v", f.store.calls)
	}
}

func TestR01ParallelRefreshes(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""))
	var wg sync.WaitGroup
	grants := make([]Grant, 64)
	for i := range grants {
		wg.Go(func() { grants[i] = f.refreshed(with("web", ""), g.RefreshToken) })
	}
	wg.Wait()
	successors, ids := map[string]bool{}, map[string]bool{}
	for _, g := range grants {
		successors[g.RefreshToken], ids[g.TokenID] = true, true
	}
	if len(successors) != 1 || len(ids) != 64 || f.store.rotated != 1 {
		t.Errorf("%d refresh tokens, %d access tokens, %d rotations", len(successors), len(ids), f.store.rotated)
	}
	f.refreshed(with("web", ""), grants[0].RefreshToken)
}

func TestR02ReplayEndsTheSession(t *testing.T) {
	counted := 0
	f := newFixture(t, func(c *Config) { c.Replayed = func() { counted++ } })
	first := f.login(with("web", ""))
	second := f.refreshed(with("web", ""), first.RefreshToken)
	f.wait(11 * time.Second)
	f.store.failing["Revoke"] = errors.New("down")
	g, err := f.refresh(with("web", ""), first.RefreshToken)
	wantNothing(t, "replay while nothing can be revoked", g, err, auth.StoreUnavailable)
	if f.store.sessions[first.SessionID] == nil || len(f.logged("refresh token replayed: session ended")) != 0 {
		t.Error("the session was said to be ended, and was not revoked")
	}
	delete(f.store.failing, "Revoke")
	f.store.failing["EndSession"] = errors.New("down")
	g, err = f.refresh(with("web", ""), first.RefreshToken)
	wantNothing(t, "replay while nothing can be deleted", g, err, auth.StoreUnavailable)
	delete(f.store.failing, "EndSession")
	f.list.entries = map[auth.RevocationKey]auth.Revocation{} // so that the rotation is asked again
	g, err = f.refresh(with("web", ""), first.RefreshToken)
	wantNothing(t, "replay", g, err, auth.GrantInvalid)
	for _, token := range []string{first.AccessToken, second.AccessToken} {
		if r := f.state(token); r != auth.TokenRevoked {
			t.Errorf("an access token of the session is %s", r)
		}
	}
	g, err = f.refresh(with("web", ""), second.RefreshToken)
	wantNothing(t, "the token of whoever did not replay", g, err, auth.GrantInvalid)
	if f.store.sessions[first.SessionID] != nil {
		t.Error("the session is still kept")
	}
	if counted != 1 {
		t.Errorf("counted %d times", counted)
	}
	lines := f.logged("refresh token replayed: session ended")
	for name, value := range map[string]any{"level": "WARN", "sub": "u1", "sid": first.SessionID, "client_id": "web", "address": "192.0.2.1", "request_id": "r1"} {
		if len(lines) != 1 || lines[0][name] != value {
			t.Errorf("%s: %v", name, lines)
		}
	}
}

func TestR03LostAnswer(t *testing.T) {
	f := newFixture(t)
	first := f.login(with("web", ""))
	second := f.refreshed(with("web", ""), first.RefreshToken)
	f.wait(9 * time.Second)
	again := f.refreshed(with("web", ""), first.RefreshToken)
	if again.RefreshToken != second.RefreshToken || again.TokenID == second.TokenID || again.SessionID != first.SessionID {
		t.Errorf("second %+v, again %+v", second, again)
	}
	f.wait(time.Minute)
	f.refreshed(with("web", ""), again.RefreshToken)
}

func TestR05EveryRefreshReadsTheUser(t *testing.T) {
	for name, gone := range map[string]func(*fixture){
		"disabled":     func(f *fixture) { f.users.set("jane@example.com", func(u *User) { u.Source = "" }) },
		"another user": func(f *fixture) { f.users.set("jane@example.com", func(u *User) { u.ID = "u2" }) },
	} {
		f := newFixture(t)
		first := f.login(with("web", ""))
		gone(f)
		f.store.failing["Revoke"] = errors.New("down")
		g, err := f.refresh(with("web", ""), first.RefreshToken)
		wantNothing(t, name+", store down", g, err, auth.StoreUnavailable)
		delete(f.store.failing, "Revoke")
		g, err = f.refresh(with("web", ""), first.RefreshToken)
		wantNothing(t, name, g, err, auth.GrantInvalid)
		if f.store.rotated != 0 || f.store.sessions[first.SessionID] != nil || f.state(first.AccessToken) != auth.TokenRevoked {
			t.Errorf("%s: the session goes on", name)
		}
		if lines := f.logged("session ended: its user is gone or disabled"); len(lines) != 1 || lines[0]["sid"] != first.SessionID {
			t.Errorf("%s: %v", name, lines)
		}
	}

	f := newFixture(t)
	first := f.login(with("web", ""))
	f.users.set("jane@example.com", func(u *User) {
		u.Email = ""
		u.Claims = map[string]json.RawMessage{"roles": json.RawMessage(`"none"`), "email": json.RawMessage(`"j\u0061@example.com"`)}
	})
	second := f.refreshed(with("web", ""), first.RefreshToken)
	got := claimsOf(t, second.AccessToken)
	if got["roles"] != "none" || got["big"] != nil || got["email"] != "ja@example.com" || second.User.Email != "ja@example.com" {
		t.Errorf("claims %v, user %+v", got, second.User)
	}

	for claim, email := range map[string]string{`"other@example.com"`: "j@example.com", `12`: "", `null`: ""} {
		f.users.set("jane@example.com", func(u *User) { u.Email, u.Claims["email"] = email, json.RawMessage(claim) })
		if second = f.refreshed(with("web", ""), second.RefreshToken); second.User.Email != email {
			t.Errorf("claim %s: email %q, want %q", claim, second.User.Email, email)
		}
	}

	f.users.err = errors.New("connection refused")
	g, err := f.refresh(with("web", ""), second.RefreshToken)
	wantNothing(t, "users cannot be had", g, err, auth.UsersUnavailable)
	if !errors.Is(err, f.users.err) {
		t.Errorf("the cause is lost: %v", err)
	}
	f.users.err = nil
	for _, name := range []string{"a", "email"} {
		f.users.set("jane@example.com", func(u *User) {
			u.Email, u.Claims = "", map[string]json.RawMessage{name: json.RawMessage(`"nope`)}
		})
		g, err = f.refresh(with("web", ""), second.RefreshToken)
		wantNothing(t, "a record that cannot be used: "+name, g, err, auth.UsersUnavailable)
	}
	f.users.set("jane@example.com", func(u *User) { u.Claims = nil })
	f.refreshed(with("web", ""), second.RefreshToken)
}

func TestR06BoundToItsClient(t *testing.T) {
	requests := map[string]Request{
		"nobody":         from("192.0.2.1"),
		"web":            with("web", ""),
		"backend":        with("backend", "backend-secret"),
		"backend by id":  with("backend", ""),
		"backend forged": with("backend", "x"),
		"reporting":      with("reporting", clientSecret),
		"key mobile":     apiKey("mobile"),
		"key other":      apiKey("other"),
		"key web":        apiKey("web"),
	}
	for session, allowed := range map[string]map[string]auth.Reason{
		"nobody":     {"nobody": auth.OK},
		"web":        {"web": auth.OK, "nobody": auth.OK, "key web": auth.OK},
		"backend":    {"backend": auth.OK},
		"key mobile": {"key mobile": auth.OK},
	} {
		f := newFixture(t)
		g := f.login(requests[session])
		for asks, r := range requests {
			reason, listed := allowed[asks]
			switch {
			case listed:
			case asks == "backend by id" || asks == "backend forged":
				reason = auth.ClientInvalid
			default:
				reason = auth.GrantInvalid
			}
			got, err := f.refresh(r, g.RefreshToken)
			want(t, session+"'s token used by "+asks, err, reason)
			if err != nil && got.AccessToken != "" {
				t.Error("a token was answered")
			}
		}
	}
	// A client that may not refresh any more, or is gone.
	f := newFixture(t)
	g := f.login(with("web", ""))
	f.cfg.Clients[0].Grants = []GrantType{GrantPassword}
	f.build()
	_, err := f.refresh(with("web", ""), g.RefreshToken)
	want(t, "without the grant", err, auth.ClientForbidden)
	_, err = f.refresh(from("192.0.2.1"), g.RefreshToken)
	want(t, "without the grant, unnamed", err, auth.ClientForbidden)
	f.cfg.Clients = f.cfg.Clients[1:]
	f.build()
	_, err = f.refresh(from("192.0.2.1"), g.RefreshToken)
	want(t, "client gone", err, auth.GrantInvalid)
}

func TestA18ScopesOfARefresh(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""), "orders:read")
	for _, more := range [][]string{{"orders:write"}, {"orders:read", "orders:write"}, {"admin"}} {
		got, err := f.refresh(with("web", ""), g.RefreshToken, more...)
		wantNothing(t, more[len(more)-1], got, err, auth.ScopeInvalid)
	}
	if f.store.rotated != 0 {
		t.Error("the refresh token was used up")
	}
	g = f.refreshed(with("web", ""), g.RefreshToken)
	if claimsOf(t, g.AccessToken)["scope"] != "orders:read" || !slices.Equal(g.Scopes, []string{"orders:read"}) {
		t.Errorf("%v", g.Scopes)
	}

	g = f.login(with("web", ""))
	g = f.refreshed(with("web", ""), g.RefreshToken, "orders:write")
	if claimsOf(t, g.AccessToken)["scope"] != "orders:write" {
		t.Error("fewer scopes were asked for")
	}
	g = f.refreshed(with("web", ""), g.RefreshToken)
	if claimsOf(t, g.AccessToken)["scope"] != "orders:read orders:write" {
		t.Error("the session lost a scope by one refresh that did without")
	}
	f.cfg.Clients[0].Scopes = []string{"orders:write", "new"}
	f.build()
	g = f.refreshed(with("web", ""), g.RefreshToken)
	if claimsOf(t, g.AccessToken)["scope"] != "orders:write" {
		t.Error("the client keeps a scope that was taken from it, or has one that it had not at login")
	}
	// Without a client there are no scopes to speak of.
	for _, r := range []Request{from("192.0.2.1"), apiKey("mobile")} {
		g = f.login(r)
		if g = f.refreshed(r, g.RefreshToken, "orders:read"); len(g.Scopes) > 0 {
			t.Errorf("%v", g.Scopes)
		}
	}
}

func TestRefreshOfARevokedSession(t *testing.T) {
	for _, c := range []struct {
		kind auth.Kind
		id   func(Grant) string
	}{
		{auth.KindSession, func(g Grant) string { return g.SessionID }},
		{auth.KindSubject, func(Grant) string { return "u1" }},
		{auth.KindClient, func(Grant) string { return "web" }},
		{auth.KindIssuer, func(Grant) string { return "main" }},
	} {
		f := newFixture(t)
		f.list.stale = true // what is known to be revoked is refused all the same
		g := f.login(with("web", ""))
		ask := auth.RevocationRequest{Kind: c.kind, ID: c.id(g)}
		entry, err := ask.Entry([]*auth.Issuer{f.issuer}, f.clock)
		if err != nil {
			t.Fatal(err)
		}
		f.list.add(entry)
		got, err := f.refresh(with("web", ""), g.RefreshToken)
		wantNothing(t, c.kind.String(), got, err, auth.GrantInvalid)
		f.wait(time.Second)
		if c.kind.Timed() { // a later login is spared
			f.list.stale = false
			f.refreshed(with("web", ""), f.login(with("web", "")).RefreshToken)
		}
	}
	f := newFixture(t)
	g := f.login(with("web", ""))
	f.list.stale = true
	got, err := f.refresh(with("web", ""), g.RefreshToken)
	wantNothing(t, "a list that is too old", got, err, auth.RevocationStale)
	f.list.stale, f.list.err = false, errors.New("the store that must be asked is down")
	got, err = f.refresh(with("web", ""), g.RefreshToken)
	wantNothing(t, "a list that is unsure", got, err, auth.StoreUnavailable)
	if f.store.rotated != 0 {
		t.Error("the refresh token was used up")
	}
	if revoked, err := (Session{ID: g.SessionID, Issuer: "main"}).Revoked(ctx, f.list, f.clock); revoked || err == nil {
		t.Errorf("a list that is unsure says revoked: %t, %v", revoked, err)
	}
	f.list.err = nil
	f.list.add(auth.Revocation{Kind: auth.KindClient, Issuer: "main", Before: f.clock.Add(time.Hour), Until: f.clock.Add(time.Hour)})
	f.login(from("192.0.2.1")) // no client is not the client without a name
}

func TestSessionsAreCapped(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.RefreshTTL = 500 * time.Hour })
	began := f.clock.Truncate(time.Second)
	g := f.login(with("web", ""))
	f.wait(400 * time.Hour)
	g = f.refreshed(with("web", ""), g.RefreshToken)
	if s := f.store.sessions[g.SessionID]; !s.Expires.Equal(began.Add(720 * time.Hour)) {
		t.Errorf("the session ends at %s", s.Expires)
	}
	f.wait(319*time.Hour + 59*time.Minute)
	g = f.refreshed(with("web", ""), g.RefreshToken)
	if exp := claimsOf(t, g.AccessToken)["exp"]; exp != num(began.Unix()+720*3600) || g.ExpiresIn != time.Minute {
		t.Errorf("exp %v, in %s", exp, g.ExpiresIn)
	}
	// By the cap of today, whatever it was when the store was told.
	f.cfg.MaxSession = 719*time.Hour + 59*time.Minute
	f.build()
	got, err := f.refresh(with("web", ""), g.RefreshToken)
	wantNothing(t, "past the cap", got, err, auth.GrantInvalid)
	f.cfg.MaxSession += time.Second
	f.build()
	if g := f.refreshed(with("web", ""), g.RefreshToken); g.ExpiresIn != time.Second {
		t.Errorf("in the last second: %s", g.ExpiresIn)
	}
}

func TestRefreshIsRefused(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""))
	forged := newRefreshToken(g.SessionID)
	elsewhere := newRefreshToken(NewSessionID("other", "u1"))
	f.store.sessions[elsewhere.sessionID()] = &fakeSession{Session: Session{
		ID: elsewhere.sessionID(), Issuer: "other", Subject: "u1", Username: "jane@example.com", Source: "file", ClientID: "web",
		AuthTime: f.clock, Expires: f.clock.Add(time.Hour), Refresh: elsewhere.hashes(),
	}}
	for name, c := range map[string]struct {
		token string
		want  auth.Reason
	}{
		"none":                     {"", auth.RequestMalformed},
		"no token":                 {"nope", auth.GrantInvalid},
		"made up":                  {forged.encode(), auth.GrantInvalid},
		"of no session":            {newRefreshToken(NewSessionID("main", "u1")).encode(), auth.GrantInvalid},
		"of another issuer":        {elsewhere.encode(), auth.GrantInvalid},
		"with a blank behind it":   {g.RefreshToken + " ", auth.GrantInvalid},
		"with a line end in it":    {g.RefreshToken[:50] + "\n" + g.RefreshToken[51:], auth.GrantInvalid},
		"with its last bits set":   {g.RefreshToken[:90] + "_", auth.GrantInvalid},
		"J18: an access token":     {g.AccessToken, auth.GrantInvalid},
		"with padding behind it":   {g.RefreshToken + "=", auth.GrantInvalid},
		"of the whole body's size": {string(make([]byte, 16<<10)), auth.GrantInvalid},
	} {
		got, err := f.refresh(with("web", ""), c.token)
		wantNothing(t, name, got, err, c.want)
	}
	if len(f.list.entries) != 0 {
		t.Error("a forged token ended a session")
	}
	f.refreshed(with("web", ""), g.RefreshToken)
}

// The id of a session stands in every access token. What is made up of it costs
// the look-up and no more: no user is read, nothing is signed.
func TestMadeUpRefreshTokensCostLittle(t *testing.T) {
	f := newFixture(t)
	jane := f.login(with("web", ""))
	f.users.err = errors.New("must not be asked")
	g, err := f.Refresh(ctx, RefreshGrant{Request: with("web", ""), RefreshToken: newRefreshToken(jane.SessionID).encode()})
	wantNothing(t, "a made-up token", g, err, auth.GrantInvalid)
}

// whileReread has something happen while a user is read again.
type whileReread struct {
	Users
	do func()
}

func (w whileReread) Reread(ctx context.Context, s Session) (User, error) {
	w.do()
	return w.Users.Reread(ctx, s)
}

// A session that ends between the look-up and the rotation has ended, which is no
// fault of ours.
func TestRefreshOfASessionThatEndsMeanwhile(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""))
	f.cfg.Users = whileReread{f.users, func() { delete(f.store.sessions, g.SessionID) }}
	f.build()
	got, err := f.refresh(with("web", ""), g.RefreshToken)
	wantNothing(t, "an ended session", got, err, auth.GrantInvalid)
}

func TestR24RefreshTokensAreUsedOnce(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.RefreshGrace = 0 })
	g := f.login(with("web", ""))
	f.refreshed(with("web", ""), g.RefreshToken)
	got, err := f.refresh(with("web", ""), g.RefreshToken)
	wantNothing(t, "the second time", got, err, auth.GrantInvalid)
}
