package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

func TestPassword(t *testing.T) {
	f := newFixture(t)
	g := f.login(from("192.0.2.1"))
	got := claimsOf(t, g.AccessToken)
	unix := f.clock.Unix()
	want := map[string]any{
		"iss": "https://auth.example.com", "sub": "u1", "aud": "api", "jti": g.TokenID, "sid": g.SessionID,
		"iat": num(unix), "nbf": num(unix), "exp": num(unix + 3600), "auth_time": num(unix),
		"email": "jane@example.com", "roles": []any{"staff"}, "big": json.Number("12345678901234567890"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("claims %v, want %v", got, want)
	}
	if h := part(t, g.AccessToken, 0); !maps.Equal(h, map[string]any{"alg": "ES256", "kid": "k1", "typ": "at+jwt"}) {
		t.Errorf("header %v", h)
	}
	if g.ExpiresIn != time.Hour || g.Subject != "u1" || g.User.Email != "jane@example.com" || g.Scopes != nil {
		t.Errorf("grant %+v", g)
	}
	if r := f.state(g.AccessToken); r != auth.OK {
		t.Errorf("the data plane says %s", r)
	}
	s := f.store.sessions[g.SessionID].Session
	refresh, ok := parseRefreshToken(g.RefreshToken)
	if !ok || refresh.sessionID() != g.SessionID || s.Refresh != refresh.hashes() {
		t.Error("the refresh token is not the session's")
	}
	s.Refresh = RefreshHashes{}
	if wanted := (Session{
		ID: g.SessionID, Issuer: "main", Subject: "u1", Username: "jane@example.com", Source: "file", Address: "192.0.2.1",
		Claims:   []byte(`{"big":12345678901234567890,"email":"jane@example.com","roles":["staff"]}`),
		AuthTime: f.clock.Truncate(time.Second), Refreshed: f.clock, Expires: f.clock.Add(240 * time.Hour),
	}); !reflect.DeepEqual(s, wanted) {
		t.Errorf("session %+v, want %+v", s, wanted)
	}
	if !sessionIsOf(g.SessionID, "main", "u1") {
		t.Errorf("session id %q", g.SessionID)
	}
}

func num(n int64) json.Number { return json.Number(fmt.Sprint(n)) }

func TestPasswordOfAClient(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name    string
		r       Request
		ask     []string
		id      string
		scopes  []string
		life    time.Duration
		refresh bool
	}{
		{"none", from("192.0.2.1"), []string{"orders:read"}, "", nil, time.Hour, true},
		{"public", with("web", ""), nil, "web", []string{"orders:read", "orders:write"}, time.Hour, true},
		{"fewer scopes", with("web", ""), []string{"orders:write", "orders:write"}, "web", []string{"orders:write"}, time.Hour, true},
		{"confidential", with("backend", "backend-secret"), nil, "backend", []string{"orders:read"}, time.Hour, true},
		{"no refresh, other life", with("short", ""), nil, "short", nil, time.Minute, false},
		{"api key", apiKey("mobile-app"), []string{"orders:read"}, "mobile-app", nil, time.Hour, true},
		{"unknown but optional", Request{Client: ClientAuth{ID: "account-7", Secret: "x", Optional: true}}, []string{"a"}, "", nil, time.Hour, true},
		{"known and optional", Request{Client: ClientAuth{ID: "web", Optional: true}}, nil, "web", []string{"orders:read", "orders:write"}, time.Hour, true},
	} {
		g := f.login(c.r, c.ask...)
		claims := claimsOf(t, g.AccessToken)
		id, _ := claims["client_id"].(string)
		scope, hasScope := claims["scope"].(string)
		_, hasID := claims["client_id"]
		if id != c.id || hasID != (c.id != "") || scope != strings.Join(c.scopes, " ") || hasScope != (len(c.scopes) > 0) || !slices.Equal(g.Scopes, c.scopes) {
			t.Errorf("%s: client %q, scope %q, granted %q", c.name, id, scope, g.Scopes)
		}
		if g.ExpiresIn != c.life || (g.RefreshToken != "") != c.refresh {
			t.Errorf("%s: life %s, refresh token %t", c.name, g.ExpiresIn, g.RefreshToken != "")
		}
		s := f.store.sessions[g.SessionID]
		if s.ClientID != c.id || !slices.Equal(s.Scopes, c.scopes) || (s.Refresh != RefreshHashes{}) != c.refresh {
			t.Errorf("%s: session %+v", c.name, s)
		}
		if end := s.AuthTime.Add(720 * time.Hour); !c.refresh && !s.Expires.Equal(end) {
			t.Errorf("%s: a session without refresh ends %s, want %s", c.name, s.Expires, end)
		}
	}
}

func TestPasswordWithoutRefreshTokens(t *testing.T) {
	f := newFixture(t)
	g, err := f.Password(ctx, PasswordGrant{Username: "jane@example.com", Password: password, NoRefresh: true})
	if err != nil || g.RefreshToken != "" || f.store.sessions[g.SessionID].Refresh != (RefreshHashes{}) {
		t.Errorf("%v, refresh token %q", err, g.RefreshToken)
	}
	f = newFixture(t, func(c *Config) { c.RefreshTTL = 0 })
	if g := f.login(with("web", "")); g.RefreshToken != "" || f.store.sessions[g.SessionID].Refresh != (RefreshHashes{}) {
		t.Error("a refresh token where none are issued")
	}
	_, err = f.refresh(with("web", ""), newRefreshToken(NewSessionID("main", "u1")).encode())
	want(t, "refresh", err, auth.GrantUnsupported)
}

func TestPasswordIsRefused(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAccount.Max, c.PerAddress.Max = 0, 0 })
	for _, c := range []struct {
		name     string
		r        Request
		username string
		password string
		scopes   []string
		want     auth.Reason
	}{
		{"wrong password", from("192.0.2.1"), "jane@example.com", "wrong", nil, auth.CredentialsInvalid},
		{"unknown user", from("192.0.2.1"), "joe@example.com", password, nil, auth.CredentialsInvalid},
		{"no user's name", from("192.0.2.1"), "jane doe\x00", password, nil, auth.CredentialsInvalid},
		{"scope of another client", with("web", ""), "jane@example.com", password, []string{"orders:read", "reports"}, auth.ScopeInvalid},
		{"client without the grant", with("reporting", clientSecret), "jane@example.com", password, nil, auth.ClientForbidden},
		{"unknown client", with("nobody", ""), "jane@example.com", password, nil, auth.ClientInvalid},
	} {
		g, err := f.Password(ctx, PasswordGrant{Request: c.r, Username: c.username, Password: c.password, Scopes: c.scopes})
		wantNothing(t, c.name, g, err, c.want)
	}
	if len(f.store.sessions) != 0 {
		t.Errorf("%d sessions began", len(f.store.sessions))
	}
	// A name that cannot be one costs what another does, and is nobody even to a
	// source that knows everybody.
	f.users.users[noUsername] = User{ID: "x", Username: noUsername}
	g, err := f.Password(ctx, PasswordGrant{Username: "jane doe", Password: password})
	wantNothing(t, "a name that is none", g, err, auth.CredentialsInvalid)
	if !slices.Contains(f.users.logins, noUsername) || slices.Contains(f.users.logins, "jane doe") {
		t.Errorf("looked up: %q", f.users.logins)
	}
}

func TestA09EmptyCredentials(t *testing.T) {
	f := newFixture(t)
	for _, c := range [][2]string{{"", password}, {"jane@example.com", ""}, {"", ""}} {
		g, err := f.Password(ctx, PasswordGrant{Username: c[0], Password: c[1]})
		wantNothing(t, fmt.Sprint(c), g, err, auth.RequestMalformed)
	}
	if len(f.users.logins)+len(f.store.calls) != 0 {
		t.Error("the request went further")
	}
}

func TestA07PasswordsAreBoundedBeforeTheyAreHashed(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("x", 1025)
	for _, c := range [][2]string{{"jane@example.com", long}, {long, password}} {
		g, err := f.Password(ctx, PasswordGrant{Username: c[0], Password: c[1]})
		wantNothing(t, "1025 bytes", g, err, auth.RequestMalformed)
	}
	if len(f.users.logins)+len(f.store.calls) != 0 {
		t.Error("the request went further")
	}
	_, err := f.Password(ctx, PasswordGrant{Username: long[:1024], Password: long[:1024]})
	want(t, "1024 bytes", err, auth.CredentialsInvalid)
}

func TestA07BusyIsNoFailedLogin(t *testing.T) {
	f := newFixture(t)
	for err, want := range map[error]auth.Reason{
		fmt.Errorf("hasher: %w", ErrBusy): auth.RateLimited,
		errors.New("connection refused"):  auth.UsersUnavailable,
	} {
		f.users.err = err
		for range 10 {
			g, err := f.Password(ctx, PasswordGrant{Request: from("192.0.2.1"), Username: "jane@example.com", Password: password})
			wantNothing(t, "login", g, err, want)
			if e := err.(*Error); want == auth.RateLimited && e.RetryAfter != time.Second {
				t.Errorf("retry after %s", e.RetryAfter)
			}
			g, err = f.Password(ctx, PasswordGrant{Request: from("192.0.2.1"), Username: "a b", Password: password})
			wantNothing(t, "login by a name that is none", g, err, want)
		}
	}
	f.users.err = nil
	f.login(from("192.0.2.1"))
	if lines := f.logged("login refused"); len(lines) != 20 || lines[0]["reason"] != "rate_limited" {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
}

// A session begins when its password begins to be checked: with a change of the
// password meanwhile its revocation covers it.
func TestSessionBeginsBeforeThePasswordIsChecked(t *testing.T) {
	f := newFixture(t)
	f.cfg.Users = slowUsers{f}
	f.build()
	before := f.clock.Unix()
	got := claimsOf(t, f.login(from("192.0.2.1")).AccessToken)
	if got["auth_time"] != num(before) || got["iat"] != num(before+3) || got["exp"] != num(before+3603) {
		t.Errorf("claims %v, before the login it was %d", got, before)
	}
}

func TestUsersThatMakeNoToken(t *testing.T) {
	f := newFixture(t)
	raw := func(s string) map[string]json.RawMessage { return map[string]json.RawMessage{"a": json.RawMessage(s)} }
	for name, u := range map[string]User{
		"no id":                  {},
		"id that is too long":    {ID: strings.Repeat("x", 1025)},
		"id that is not UTF-8":   {ID: "u\xff"},
		"mail that is not UTF-8": {ID: "u1", Email: "\xff"},
		"claim that is no JSON":  {ID: "u1", Claims: raw("nope")},
		"claim with another":     {ID: "u1", Claims: raw(`1,"roles":["admin"]`)},
		"claim twice":            {ID: "u1", Claims: raw(`{"b":1,"b":2}`)},
		"claim that is empty":    {ID: "u1", Claims: raw("")},
		"name of a claim":        {ID: "u1", Claims: map[string]json.RawMessage{"a\xff": json.RawMessage("1")}},
	} {
		f.users.users["jane@example.com"] = u
		g, err := f.Password(ctx, PasswordGrant{Username: "jane@example.com", Password: password})
		wantNothing(t, name, g, err, auth.UsersUnavailable)
	}
	if len(f.store.sessions) != 0 {
		t.Error("a session began")
	}
	f.users.users["jane@example.com"] = User{ID: strings.Repeat("x", 1024)}
	f.login(from("192.0.2.1"))
}

// What is about a client has its id as subject.
func TestUsersAreNoClients(t *testing.T) {
	f := newFixture(t)
	jane := f.login(with("web", ""))
	f.users.set("jane@example.com", func(u *User) { u.ID = "partner-1" })
	g, err := f.Password(ctx, PasswordGrant{Request: from("192.0.2.1"), Username: "jane@example.com", Password: password})
	wantNothing(t, "a user with the id of a client", g, err, auth.UsersUnavailable)
	f.users.set("jane@example.com", func(u *User) { u.ID = "u1" })
	f.cfg.Clients = append(f.cfg.Clients, Client{ID: "u1", Grants: []GrantType{GrantPassword}})
	f.build()
	g, err = f.Refresh(ctx, RefreshGrant{Request: with("web", ""), RefreshToken: jane.RefreshToken})
	wantNothing(t, "a client with the id of a user", g, err, auth.UsersUnavailable)
}

// A login that a revocation covers already would give a token that is dead.
func TestLoginOfARevokedSubject(t *testing.T) {
	f := newFixture(t)
	f.list.add(auth.Revocation{Kind: auth.KindSubject, Issuer: "main", ID: "u1", Before: f.clock, Until: f.clock.Add(time.Hour)})
	g, err := f.Password(ctx, PasswordGrant{Request: from("192.0.2.1"), Username: "jane@example.com", Password: password})
	wantNothing(t, "within the second", g, err, auth.TokenRevoked)
	f.list.err = errors.New("the store that must be asked is down")
	g, err = f.Password(ctx, PasswordGrant{Request: from("192.0.2.1"), Username: "jane@example.com", Password: password})
	wantNothing(t, "a list that is unsure", g, err, auth.StoreUnavailable)
	f.list.err = nil
	f.wait(time.Second)
	f.login(from("192.0.2.1"))
}

func TestLoginIsAudited(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""))
	lines := f.logged("login")
	for name, value := range map[string]any{"level": "INFO", "sub": "u1", "sid": g.SessionID, "client_id": "web", "address": "192.0.2.1", "request_id": "r1"} {
		if len(lines) != 1 || lines[0][name] != value {
			t.Errorf("%s: %v", name, lines)
		}
	}
	g = f.login(Request{})
	if line := f.logged("login")[1]; line["address"] != "" || f.store.sessions[g.SessionID].Address != "" {
		t.Errorf("of no address: %v", line)
	}
	if _, err := f.Password(ctx, PasswordGrant{Request: from("192.0.2.1"), Username: "Jane@example.com", Password: "hunter2"}); err == nil {
		t.Fatal("logged in")
	}
	lines = f.logged("login refused")
	if len(lines) != 1 || lines[0]["reason"] != "credentials_invalid" || lines[0]["user"] != digest("jane@example.com")[:16] || lines[0]["address"] != "192.0.2.1" {
		t.Errorf("%v", lines)
	}
	if s := f.log.String(); strings.Contains(s, "jane") || strings.Contains(s, "hunter2") {
		t.Errorf("the log tells names or passwords: %s", s)
	}
}

type slowUsers struct{ *fixture }

func (s slowUsers) Login(c context.Context, username, password string) (User, error) {
	s.wait(3 * time.Second)
	return s.users.Login(c, username, password)
}

func (s slowUsers) Reread(c context.Context, session Session) (User, error) {
	return s.users.Reread(c, session)
}
