package endpoint

import (
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

func TestEnvelopeLogin(t *testing.T) {
	f := newFixture(t, "envelope")
	const login = "POST /v1/login\n" + asJSON + "\n\n" + `{"email":"jane@example.com","password":"pw"}`
	f.want(f.send(login), 200, `{"success":true,"data":{"type":"token","access_token":"a.b.c","expires_in":3600}}`)
	f.wantCalls(token.PasswordGrant{Username: "jane@example.com", Password: "pw", NoRefresh: true})
	// Whoever else's name stands in Authorization is not the client's.
	f.send("POST /v1/login\n" + basic("staging", "pw") + "\n" + asJSON + "\n\n" + `{"email":"jane@example.com","password":"pw"}`)
	f.wantCalls(token.PasswordGrant{Username: "jane@example.com", Password: "pw", NoRefresh: true})
	f.engine.err = &token.Error{Reason: auth.CredentialsInvalid}
	a := f.send(login)
	f.want(a, 401, `{"message":"Invalid credentials"}`)
	f.wantHeader(a, "WWW-Authenticate", "Bearer")
	f.engine.err, f.engine.calls = nil, nil
	f.want(f.send("POST /v1/login\n"+asJSON+"\n\n"+`{"email":"jane@example.com"}`), 400, `{"message":"The request is malformed: password is missing"}`)
	f.want(f.send("POST /v1/login\n"+asJSON+"\n\n"+`{"username":"jane","password":"pw"}`), 400, `{"message":"The request is malformed: the body has an unknown member: username"}`)
	f.wantCalls()
}

func TestEnvelopeExchange(t *testing.T) {
	f := newFixture(t, "envelope")
	for _, method := range []string{"GET", "POST"} {
		a := f.send(method + " /v1/token\nAuthorization: Bearer x.y.z")
		f.want(a, 200, `{"success":true,"data":{"type":"refresh_token","access_token":"a.b.c","token_type":"Bearer","expires_in":3600}}`)
		f.wantCalls(token.Exchange{})
		if f.engine.caller.Credentials != auth.BearerCredentials("x.y.z") {
			t.Errorf("%+v", f.engine.caller)
		}
	}
	f.engine.err = &token.Error{Reason: auth.TokenExpired}
	a := f.send("GET /v1/token\nAuthorization: Bearer x.y.z")
	f.want(a, 401, `{"message":"The bearer token has expired"}`)
	if f.observed[2] != "exchange token_expired" {
		t.Errorf("%q", f.observed)
	}
}

func TestEnvelopeLogout(t *testing.T) {
	f := newFixture(t, "envelope")
	_, f.engine.token = signed(t, claims())
	for _, method := range []string{"GET", "POST"} {
		a := f.send(method + " /v1/logout\nAuthorization: Bearer x.y.z")
		f.want(a, 200, `{"success":true}`)
		f.wantCalls(token.Logout{})
		if f.engine.caller.Credentials != auth.BearerCredentials("x.y.z") || a.outcome.Subject != "user-1" {
			t.Errorf("%+v, %+v", f.engine.caller, a.outcome)
		}
	}
	f.engine.err = &token.Error{Reason: auth.TokenMissing}
	f.want(f.send("GET /v1/logout"), 401, `{"message":"The bearer token is missing"}`)
}

func TestEnvelopeClientCredentials(t *testing.T) {
	f := newFixture(t, "envelope")
	f.engine.grant.ExpiresIn = 15 * time.Minute
	want := token.ClientCredentialsGrant{Request: by(token.ClientAuth{ID: "rep", Secret: "s"}), Scopes: []string{"red-marker-review"}}
	const object = `{"grant_type":"client_credentials","scope":"red-marker-review","client_id":"rep","client_secret":"s"}`
	for _, request := range []string{
		asForm + "\n\ngrant_type=client_credentials&scope=red-marker-review&client_id=rep&client_secret=s",
		asForm + "\n" + basic("rep", "s") + "\n\ngrant_type=client_credentials&scope=red-marker-review",
		asForm + "\n\n" + object,
		asForm + "\n\n" + object[:len(object)-1] + ",\n}\n", // as its guide has it
		asForm + "\n\n\r\n  " + object + "\n",
		asJSON + "\n\n" + object,
	} {
		a := f.send("POST /oauth/token\n" + request)
		f.want(a, 200, `{"success":true,"data":{"type":"token","access_token":"a.b.c","expires_in":900}}`)
		f.wantCalls(want)
	}
	if f.observed[0] != "client_credentials ok" {
		t.Errorf("%q", f.observed)
	}
	for request, body := range map[string]string{
		asForm + "\n\ngrant_type=password&client_id=rep&client_secret=s": `{"message":"The grant type is not supported: grant_type must be client_credentials"}`,
		asForm + "\n\nclient_id=rep&client_secret=s":                     `{"message":"The request is malformed: grant_type is missing"}`,
		asForm + "\n\n" + object[:len(object)-1] + ",,}":                 `{"message":"The request is malformed: the body is not JSON, at byte 100"}`,
		asForm + "\n\n" + object[:len(object)-1] + ",":                   `{"message":"The request is malformed: the body is not JSON, at byte 101"}`,
		asJSON + "\n\ngrant_type=client_credentials":                     `{"message":"The request is malformed: the body is no JSON object"}`,
		asForm + "\n\n" + `{"grant_type":"client_credentials","x":"y"}`:  `{"message":"The request is malformed: the body has an unknown member: x"}`,
	} {
		f.want(f.send("POST /oauth/token\n"+request), 400, body)
	}
	a := f.send("POST /oauth/token\n" + asForm + "\n\ngrant_type=client_credentials")
	f.want(a, 401, `{"message":"The client is unknown or its secret is wrong"}`)
	f.wantHeader(a, "WWW-Authenticate", `Basic realm="gatehouse"`)
	a = f.send("POST /oauth/token\nContent-Type: text/plain\n\n" + object)
	f.want(a, 415, `{"message":"The request is malformed: the Content-Type must be application/x-www-form-urlencoded or application/json"}`)
	f.wantCalls()
	f.engine.err = &token.Error{Reason: auth.ScopeInvalid}
	f.want(f.send("POST /oauth/token\n"+asJSON+"\n\n"+object), 400, `{"message":"The scope is more than the client may have"}`)
}
