package endpoint

import (
	"maps"
	"slices"
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// scenario is what a user of an API does, and what the engine is to be asked at
// each step, whoever the client is.
var scenario = []struct {
	step string
	asks any
	err  error
}{
	{"login", token.PasswordGrant{Username: "jane", Password: "pw"}, nil},
	{"use", token.Info{}, nil},
	{"refresh", token.RefreshGrant{RefreshToken: "r1"}, nil},
	{"logout", token.Logout{}, nil},
	{"wrong password", token.PasswordGrant{Username: "jane", Password: "wrong"}, &token.Error{Reason: auth.CredentialsInvalid}},
}

// spoken is the scenario in each dialect, as far as it has a step. Where its
// step is another operation, that one is given with it.
var spoken = map[string]map[string]struct {
	request string
	instead any
}{
	"oauth2": {
		"login":          {"POST /oauth2/token\n" + asForm + "\n\nclient_id=shop&grant_type=password&username=jane&password=pw", nil},
		"use":            {"POST /oauth2/introspect\n" + asForm + "\n\nclient_id=shop&token=x.y.z", token.Introspection{Token: "x.y.z"}},
		"refresh":        {"POST /oauth2/token\n" + asForm + "\n\nclient_id=shop&grant_type=refresh_token&refresh_token=r1", nil},
		"logout":         {"POST /oauth2/revoke\n" + asForm + "\n\nclient_id=shop&token=x.y.z", token.Revocation{Token: "x.y.z"}},
		"wrong password": {"POST /oauth2/token\n" + asForm + "\n\nclient_id=shop&grant_type=password&username=jane&password=wrong", nil},
	},
	"jsonapi": {
		"login":          {"POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "\n\n" + `{"username":"jane","password":"pw"}`, nil},
		"use":            {"GET /ma-authentication-ms/v1/api/oauth/token/info\nAuthorization: Bearer e30.e30.e30", nil},
		"refresh":        {"POST /ma-authentication-ms/v1/api/oauth/token/refresh\n" + asJSON + "\n\n" + `{"refresh_token":"r1"}`, nil},
		"logout":         {"POST /ma-authentication-ms/v1/api/oauth/token/revoke\nAuthorization: Bearer x.y.z", nil},
		"wrong password": {"POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "\n\n" + `{"username":"jane","password":"wrong"}`, nil},
	},
	"client_secret": { // its clients are no users, and refresh by using
		"login":          {"POST /authenticate\n" + asJSON + "\n\n" + `{"apiKey":"jane","clientSecret":"pw"}`, token.ClientSecretGrant{APIKey: "jane", Secret: "pw"}},
		"wrong password": {"POST /authenticate\n" + asJSON + "\n\n" + `{"apiKey":"jane","clientSecret":"wrong"}`, token.ClientSecretGrant{APIKey: "jane", Secret: "wrong"}},
	},
	"password_form": {
		"login":          {"POST /auth/jwt/login\n" + asForm + "\n\ngrant_type=password&username=jane&password=pw", nil},
		"refresh":        {"POST /auth/jwt/refresh\nrefresh-token: r1", nil},
		"wrong password": {"POST /auth/jwt/login\n" + asForm + "\n\ngrant_type=password&username=jane&password=wrong", nil},
	},
	"envelope": {
		"login":          {"POST /v1/login\n" + asJSON + "\n\n" + `{"email":"jane","password":"pw"}`, token.PasswordGrant{Username: "jane", Password: "pw", NoRefresh: true}},
		"refresh":        {"GET /v1/token\nAuthorization: Bearer x.y.z", token.Exchange{}},
		"logout":         {"GET /v1/logout\nAuthorization: Bearer x.y.z", nil},
		"wrong password": {"POST /v1/login\n" + asJSON + "\n\n" + `{"email":"jane","password":"wrong"}`, token.PasswordGrant{Username: "jane", Password: "wrong", NoRefresh: true}},
	},
}

// clients is who asks, in each dialect.
var clients = map[string]token.ClientAuth{
	"oauth2": {ID: "shop"}, "jsonapi": {ID: "web-app", APIKey: true}, "password_form": {Optional: true},
}

// One scenario is the same to the engine in whatever dialect it is told.
func TestParity(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(spoken)), slices.Sorted(maps.Keys(dialects)); !slices.Equal(got, want) {
		t.Fatalf("%q are spoken, there are %q", got, want)
	}
	for dialect, steps := range spoken {
		t.Run(dialect, func(t *testing.T) {
			f := newFixture(t, dialect)
			_, f.engine.token = signed(t, claims())
			for _, s := range scenario {
				said, has := steps[s.step]
				if !has {
					continue
				}
				want := s.asks
				if said.instead != nil {
					want = said.instead
				}
				f.engine.err = s.err
				a := f.send(said.request)
				f.wantCalls(asking(want, clients[dialect]))
				refused := s.err != nil
				if refused != (a.Code >= 400) || refused != (a.outcome.Reason == auth.CredentialsInvalid) {
					t.Errorf("%s: %d %s", s.step, a.Code, a.Body)
				}
			}
		})
	}
}

// asking is a call with its client.
func asking(call any, c token.ClientAuth) any {
	switch call := call.(type) {
	case token.PasswordGrant:
		call.Client = c
		return call
	case token.RefreshGrant:
		call.Client = c
		return call
	case token.Logout:
		call.Client = c
		return call
	case token.Info:
		call.Client = c
		return call
	case token.Revocation:
		call.Client = c
		return call
	case token.Introspection:
		call.Client = c
		return call
	}
	return call
}
