package endpoint

import (
	"encoding/json"
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

const jsonAPISessionText = `{"data":{"id":"user-1","type":"session","attributes":{"accessToken":"a.b.c","refreshToken":"r2","email":"jane@example.com","firstName":"Jane","lastName":"Doe"}}}`

func TestJSONAPILogin(t *testing.T) {
	f := newFixture(t, "jsonapi")
	a := f.send("POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "; charset=utf-8\nAccept: application/json\n\n" + `{"username":"Jane","password":" p w "}`)
	f.want(a, 200, jsonAPISessionText)
	f.wantHeader(a, "Content-Type", "application/json")
	f.wantCalls(token.PasswordGrant{Request: byKey(), Username: "Jane", Password: " p w "})
	if a.outcome != (auth.Outcome{Reason: auth.OK, Subject: "user-1", TokenID: "t1"}) || f.observed[0] != "password ok" {
		t.Errorf("%+v, %q", a.outcome, f.observed)
	}
	if f.engine.caller.RequestID != "req-1" || f.engine.caller.Address != f.caller.Address {
		t.Errorf("the engine was told of %+v", f.engine.caller)
	}
}

func TestJSONAPIRefresh(t *testing.T) {
	f := newFixture(t, "jsonapi")
	a := f.send("POST /ma-authentication-ms/v1/api/oauth/token/refresh\n" + asJSON + "\n\n" + `{"refresh_token":"r1"}`)
	f.want(a, 200, jsonAPISessionText)
	f.wantCalls(token.RefreshGrant{Request: byKey(), RefreshToken: "r1"})
	if f.observed[0] != "refresh_token ok" {
		t.Errorf("%q", f.observed)
	}
}

func TestJSONAPIProfile(t *testing.T) {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, tt := range []struct {
		email  string
		claims map[string]json.RawMessage
		want   string
	}{
		{"", nil, `"email":null,"firstName":null,"lastName":null`},
		{"", map[string]json.RawMessage{"email": raw(`"e"`), "given_name": raw(`"G"`), "family_name": raw(`"F"`)}, `"email":"e","firstName":"G","lastName":"F"`},
		{"own", map[string]json.RawMessage{"email": raw(`"e"`), "firstName": raw(`"Ann"`), "given_name": raw(`"G"`)}, `"email":"own","firstName":"Ann","lastName":null`},
		{"", map[string]json.RawMessage{"firstName": raw(`7`), "given_name": raw(`"G"`), "lastName": raw(`null`), "family_name": raw(`"F"`)}, `"email":null,"firstName":"G","lastName":"F"`},
	} {
		f := newFixture(t, "jsonapi")
		f.engine.grant.User = token.User{Email: tt.email, Claims: tt.claims}
		f.engine.grant.RefreshToken = ""
		a := f.send("POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "\n\n" + `{"username":"jane","password":"pw"}`)
		f.want(a, 200, `{"data":{"id":"user-1","type":"session","attributes":{"accessToken":"a.b.c",`+tt.want+`}}}`)
	}
}

func TestJSONAPIRevoke(t *testing.T) {
	f := newFixture(t, "jsonapi")
	compact, verified := signed(t, claims())
	f.engine.token = verified
	for _, method := range []string{"GET", "POST"} {
		a := f.send(method + " /ma-authentication-ms/v1/api/oauth/token/revoke\nAuthorization: Bearer " + compact)
		f.want(a, 200, `{"meta":{"revoked":true}}`)
		f.wantCalls(token.Logout{Request: byKey()})
		if f.engine.caller.Credentials != auth.BearerCredentials(compact) || a.outcome != (auth.Outcome{Reason: auth.OK, Subject: "user-1", TokenID: "t1"}) {
			t.Errorf("%+v, %+v", f.engine.caller.Credentials, a.outcome)
		}
	}
	f.engine.err = &token.Error{Reason: auth.TokenRevoked}
	a := f.send("GET /ma-authentication-ms/v1/api/oauth/token/revoke\nAuthorization: Bearer " + compact)
	f.want(a, 401, `{"errors":[{"status":"401","code":"token_revoked","title":"The credential has been revoked"}]}`)
	f.wantHeader(a, "WWW-Authenticate", `Bearer error="invalid_token", error_description="The credential has been revoked"`)
	if a.outcome != (auth.Outcome{Reason: auth.TokenRevoked}) || f.observed[2] != "logout token_revoked" {
		t.Errorf("%+v, %q", a.outcome, f.observed)
	}
}

func TestJSONAPIInfo(t *testing.T) {
	f := newFixture(t, "jsonapi")
	compact, verified := signed(t, claims())
	f.engine.token = verified
	for _, presented := range []string{
		"Authorization: Bearer " + compact,
		"Authorization: bearer   " + compact,
	} {
		a := f.send("GET /ma-authentication-ms/v1/api/oauth/token/info\n" + presented)
		f.want(a, 200, `{"data":{"id":"t1","type":"token","attributes":{"aud":["api"],"auth_time":1799999940,"client_id":"shop",`+
			`"email":"jane@example.com","exp":1800003600,"iat":1800000000,"iss":"https://auth.example.com","jti":"t1",`+
			`"n":12345678901234567890.10,"nbf":1800000000,"scope":"read","sid":"s1","sub":"user-1"}}}`)
		f.wantCalls(token.Info{Request: byKey()})
		if a.outcome.Subject != "user-1" || a.outcome.TokenID != "t1" {
			t.Errorf("%+v", a.outcome)
		}
	}
	f.engine.err = &token.Error{Reason: auth.TokenExpired}
	a := f.send("GET /ma-authentication-ms/v1/api/oauth/token/info\nAuthorization: Bearer " + compact)
	f.want(a, 401, `{"errors":[{"status":"401","code":"token_expired","title":"The bearer token has expired"}]}`)
	f.engine.err = &token.Error{Reason: auth.TokenMissing}
	a = f.send("GET /ma-authentication-ms/v1/api/oauth/token/info")
	f.want(a, 401, `{"errors":[{"status":"401","code":"token_missing","title":"The bearer token is missing"}]}`)
	f.wantHeader(a, "WWW-Authenticate", "Bearer")
}

// The API key is asked for before anything else, and named by its header.
func TestJSONAPIAsksForTheAPIKey(t *testing.T) {
	for reason, body := range map[auth.Reason]string{
		auth.APIKeyMissing:   `{"errors":[{"status":"401","code":"api_key_missing","title":"The API key is missing"}]}`,
		auth.APIKeyInvalid:   `{"errors":[{"status":"401","code":"api_key_invalid","title":"The API key is not valid"}]}`,
		auth.APIKeyForbidden: `{"errors":[{"status":"403","code":"api_key_forbidden","title":"The API key is not allowed on this route"}]}`,
		auth.RevocationStale: `{"errors":[{"status":"503","code":"revocation_stale","title":"The revocation list is too old to trust"}]}`,
	} {
		f := newFixture(t, "jsonapi")
		f.caller.Decision = auth.Decision{Reason: reason}
		for _, path := range f.endpoint.Paths() {
			a := f.send("PATCH " + path + "?password=x\n\nnonsense")
			f.want(a, reason.Status(), body)
			if reason.Status() == 401 {
				f.wantHeader(a, "WWW-Authenticate", `ApiKey header="Api-Key"`)
			}
			if a.outcome.Reason != reason {
				t.Errorf("%+v", a.outcome)
			}
		}
		f.wantCalls()
	}
}

func TestJSONAPIRefusals(t *testing.T) {
	f := newFixture(t, "jsonapi")
	login := "POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "\n\n"
	f.engine.err = &token.Error{Reason: auth.CredentialsInvalid, Detail: "no such user"}
	a := f.send(login + `{"username":"jane","password":"wrong"}`)
	f.want(a, 401, `{"errors":[{"status":"401","code":"credentials_invalid","title":"The user name or password is wrong"}]}`)
	f.wantHeader(a, "WWW-Authenticate", "Bearer")
	f.engine.err = &token.Error{Reason: auth.GrantInvalid}
	a = f.send("POST /ma-authentication-ms/v1/api/oauth/token/refresh\n" + asJSON + "\n\n" + `{"refresh_token":"r0"}`)
	f.want(a, 401, `{"errors":[{"status":"401","code":"grant_invalid","title":"The refresh token is not valid"}]}`)
	f.engine.calls = nil
	a = f.send(login + `{"username":"jane","password":""}`)
	f.want(a, 400, `{"errors":[{"status":"400","code":"request_malformed","title":"The request is malformed"}]}`)
	a = f.send("PUT /ma-authentication-ms/v1/api/oauth/token/info")
	f.want(a, 405, `{"errors":[{"status":"405","code":"method_not_allowed","title":"The method is not allowed here"}]}`)
	f.wantCalls()
}
