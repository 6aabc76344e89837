package endpoint

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

func TestOAuth2Token(t *testing.T) {
	f := newFixture(t, "oauth2")
	shop := by(token.ClientAuth{ID: "shop", Secret: "s"})
	for _, tt := range []struct {
		form string
		want any
		name string
	}{
		{"grant_type=password&username=jane&password=pw&scope=read+write", token.PasswordGrant{Request: shop, Username: "jane", Password: "pw", Scopes: []string{"read", "write"}}, "password ok"},
		{"grant_type=password&username=jane&password=pw&scope=", token.PasswordGrant{Request: shop, Username: "jane", Password: "pw"}, "password ok"},
		{"grant_type=refresh_token&refresh_token=r1&scope=read", token.RefreshGrant{Request: shop, RefreshToken: "r1", Scopes: []string{"read"}}, "refresh_token ok"},
		{"grant_type=refresh_token&refresh_token=r1", token.RefreshGrant{Request: shop, RefreshToken: "r1"}, "refresh_token ok"},
		{"grant_type=client_credentials&scope=read", token.ClientCredentialsGrant{Request: shop, Scopes: []string{"read"}}, "client_credentials ok"},
		{"grant_type=client_credentials&resource=https%3A%2F%2Fapi", token.ClientCredentialsGrant{Request: shop}, "client_credentials ok"},
	} {
		for _, client := range []string{asForm + "\n" + basic("shop", "s") + "\n\n", asForm + "\n\nclient_id=shop&client_secret=s&"} {
			f.observed = nil
			a := f.send("POST /oauth2/token\n" + client + tt.form)
			f.want(a, 200, `{"access_token":"a.b.c","refresh_token":"r2","token_type":"Bearer","expires_in":3600,"scope":"read write"}`)
			f.wantHeader(a, "Content-Type", "application/json")
			f.wantCalls(tt.want)
			if a.outcome != (auth.Outcome{Reason: auth.OK, Subject: "user-1", TokenID: "t1"}) || f.observed[0] != tt.name {
				t.Errorf("%+v, %q", a.outcome, f.observed)
			}
		}
	}
	f.engine.grant.RefreshToken, f.engine.grant.Scopes = "", nil
	a := f.send("POST /oauth2/token\n" + asForm + "\n" + basic("shop", "s") + "\n\ngrant_type=client_credentials")
	f.want(a, 200, `{"access_token":"a.b.c","token_type":"Bearer","expires_in":3600}`)
}

func TestOAuth2RevokeAndIntrospectAsk(t *testing.T) {
	f := newFixture(t, "oauth2")
	client := by(token.ClientAuth{ID: "shop", Secret: "s"})
	f.send("POST /oauth2/revoke\n" + asForm + "\n" + basic("shop", "s") + "\n\ntoken=x.y.z&token_type_hint=access_token")
	f.wantCalls(token.Revocation{Request: client, Token: "x.y.z"})
	f.send("POST /oauth2/introspect\n" + asForm + "\n\ntoken=x.y.z&client_id=shop&client_secret=s&token_type_hint=what+ever")
	f.wantCalls(token.Introspection{Request: client, Token: "x.y.z"})
	for _, path := range []string{"revoke", "introspect"} {
		f.want(f.send("POST /oauth2/"+path+"\n"+asForm+"\n"+basic("shop", "s")+"\n\ntoken_type_hint=access_token"), 400,
			`{"error":"invalid_request","error_description":"The request is malformed: token is missing"}`)
		f.want(f.send("POST /oauth2/"+path+"\n"+asForm+"\n\ntoken=x.y.z"), 401,
			`{"error":"invalid_client","error_description":"The client is unknown or its secret is wrong"}`)
	}
	f.wantCalls()
}

// What the engine knows nothing of is revoked as well as what it revoked.
func TestA14RevocationAnswersNothing(t *testing.T) {
	f := newFixture(t, "oauth2")
	a := f.send("POST /oauth2/revoke\n" + asForm + "\n" + basic("shop", "s") + "\n\ntoken=unknown")
	f.want(a, 200, "")
	if a.outcome != (auth.Outcome{Reason: auth.OK}) || f.observed[0] != "revoke ok" {
		t.Errorf("%+v, %q", a.outcome, f.observed)
	}
	f.engine.err = &token.Error{Reason: auth.StoreUnavailable, RetryAfter: 1500 * time.Millisecond}
	a = f.send("POST /oauth2/revoke\n" + asForm + "\n" + basic("shop", "s") + "\n\ntoken=x.y.z")
	f.want(a, 503, `{"error":"temporarily_unavailable","error_description":"The store cannot be reached"}`)
	f.wantHeader(a, "Retry-After", "2")
}

func TestOAuth2Introspection(t *testing.T) {
	f := newFixture(t, "oauth2")
	compact, verified := signed(t, claims())
	introspect := func() answer {
		return f.send("POST /oauth2/introspect\n" + asForm + "\n" + basic("shop", "s") + "\n\ntoken=" + compact)
	}
	f.engine.introspected = token.Introspected{Active: true, Token: verified}
	a := introspect()
	f.want(a, 200, `{"active":true,"aud":["api"],"auth_time":1799999940,"client_id":"shop","exp":1800003600,"iat":1800000000,`+
		`"iss":"https://auth.example.com","jti":"t1","nbf":1800000000,"scope":"read","sid":"s1","sub":"user-1","token_type":"Bearer"}`)
	if a.outcome != (auth.Outcome{Reason: auth.OK, Subject: "user-1", TokenID: "t1"}) {
		t.Errorf("%+v", a.outcome)
	}
	_, f.engine.introspected.Token = signed(t, map[string]any{"iss": "https://auth.example.com", "sub": "user-1", "exp": 1800003600})
	f.want(introspect(), 200, `{"active":true,"exp":1800003600,"iss":"https://auth.example.com","sub":"user-1","token_type":"Bearer"}`)
	f.engine.introspected = token.Introspected{Active: true, Session: &token.Session{
		ID: "s1", Issuer: "main", Subject: "user-1", Username: "jane", ClientID: "shop", Scopes: []string{"read", "write"},
		AuthTime: now.Add(-time.Minute), Refreshed: now, Expires: now.Add(time.Hour),
	}}
	a = introspect()
	f.want(a, 200, `{"active":true,"auth_time":1799999940,"client_id":"shop","exp":1800003600,"iat":1800000000,`+
		`"iss":"https://auth.example.com","scope":"read write","sid":"s1","sub":"user-1","token_type":"refresh_token","username":"jane"}`)
	if a.outcome != (auth.Outcome{Reason: auth.OK, Subject: "user-1"}) {
		t.Errorf("%+v", a.outcome)
	}
	f.engine.introspected = token.Introspected{Active: true, Session: &token.Session{ID: "s1", Subject: "user-1", AuthTime: now, Refreshed: now, Expires: now}}
	f.want(introspect(), 200, `{"active":true,"auth_time":1800000000,"exp":1800000000,"iat":1800000000,"iss":"https://auth.example.com","sid":"s1","sub":"user-1","token_type":"refresh_token"}`)
}

// An inactive token is said to be that, and nothing else.
func TestA14InactiveTokensAreNotDescribed(t *testing.T) {
	f := newFixture(t, "oauth2")
	_, verified := signed(t, claims())
	for _, i := range []token.Introspected{{}, {Token: verified}, {Session: &token.Session{ID: "s1"}}, {Active: true}} {
		f.engine.introspected = i
		a := f.send("POST /oauth2/introspect\n" + asForm + "\n" + basic("shop", "s") + "\n\ntoken=x.y.z")
		f.want(a, 200, `{"active":false}`)
		if a.outcome != (auth.Outcome{Reason: auth.OK}) {
			t.Errorf("%+v", a.outcome)
		}
	}
}

func TestOAuth2Errors(t *testing.T) {
	f := newFixture(t, "oauth2")
	for reason, want := range map[auth.Reason]struct {
		status int
		code   string
	}{
		auth.Undecided:          {500, "server_error"},
		auth.RequestMalformed:   {400, "invalid_request"},
		auth.RequestTimeout:     {408, "invalid_request"},
		auth.RequestTooLarge:    {413, "invalid_request"},
		auth.APIKeyMissing:      {401, "invalid_client"},
		auth.APIKeyInvalid:      {401, "invalid_client"},
		auth.APIKeyForbidden:    {403, "unauthorized_client"},
		auth.RateLimited:        {429, "temporarily_unavailable"},
		auth.CredentialsInvalid: {400, "invalid_grant"},
		auth.GrantInvalid:       {400, "invalid_grant"},
		auth.GrantUnsupported:   {400, "unsupported_grant_type"},
		auth.ClientInvalid:      {401, "invalid_client"},
		auth.ClientForbidden:    {400, "unauthorized_client"},
		auth.ScopeInvalid:       {400, "invalid_scope"},
		auth.RevocationStale:    {503, "temporarily_unavailable"},
		auth.KeysUnavailable:    {503, "temporarily_unavailable"},
		auth.StoreUnavailable:   {503, "temporarily_unavailable"},
		auth.UsersUnavailable:   {503, "temporarily_unavailable"},
	} {
		f.engine.err = &token.Error{Reason: reason}
		f.observed = nil
		a := f.send("POST /oauth2/token\n" + asForm + "\n\ngrant_type=password&client_id=shop&username=jane&password=pw")
		f.want(a, want.status, fmt.Sprintf(`{"error":%q,"error_description":%q}`, want.code, reason.Title()))
		if a.outcome.Reason != reason || f.observed[0] != "password "+reason.String() {
			t.Errorf("%+v, %q", a.outcome, f.observed)
		}
		if reason == auth.ClientInvalid {
			f.wantHeader(a, "WWW-Authenticate", `Basic realm="gatehouse"`)
		}
	}
	// An error_description has no quotes, backslashes and control characters.
	f.engine.err = &token.Error{Reason: auth.ScopeInvalid, Detail: "not \"a\\b\"\n\u00e9~"}
	a := f.send("POST /oauth2/token\n" + asForm + "\n\ngrant_type=client_credentials&client_id=shop")
	f.want(a, 400, `{"error":"invalid_scope","error_description":"The scope is more than the client may have: not ?a?b???~"}`)
}

func TestOAuth2TokenRefusals(t *testing.T) {
	f := newFixture(t, "oauth2")
	for _, tt := range []struct {
		form     string
		status   int
		want     string
		observed string
	}{
		{"client_id=shop&username=jane&password=pw", 400, `{"error":"invalid_request","error_description":"The request is malformed: grant_type is missing"}`, "unknown request_malformed"},
		{"client_id=shop&grant_type=implicit", 400, `{"error":"unsupported_grant_type","error_description":"The grant type is not supported"}`, "unknown grant_unsupported"},
		{"client_id=shop&grant_type=client_secret", 400, `{"error":"unsupported_grant_type","error_description":"The grant type is not supported"}`, "unknown grant_unsupported"},
		{"client_id=shop&grant_type=password&username=jane", 400, `{"error":"invalid_request","error_description":"The request is malformed: password is missing"}`, "password request_malformed"},
		{"client_id=shop&grant_type=refresh_token", 400, `{"error":"invalid_request","error_description":"The request is malformed: refresh_token is missing"}`, "refresh_token request_malformed"},
		{"grant_type=password&username=jane&password=pw", 401, `{"error":"invalid_client","error_description":"The client is unknown or its secret is wrong"}`, "unknown client_invalid"},
	} {
		f.observed = nil
		f.want(f.send("POST /oauth2/token\n"+asForm+"\n\n"+tt.form), tt.status, tt.want)
		if f.observed[0] != tt.observed {
			t.Errorf("%s: %q", tt.form, f.observed)
		}
	}
	f.wantCalls()
}
