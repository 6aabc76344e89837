package endpoint

import (
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

func TestClientSecretAuthenticate(t *testing.T) {
	for path, target := range map[string]string{"/": "/authenticate", "/api": "/api/authenticate", "/api/": "/api/authenticate"} {
		f := newFixture(t, "client_secret", func(cfg *Config) { cfg.Path = path })
		a := f.send("POST " + target + "\n" + asJSON + "\n\n" + `{"apiKey":"gh_k","clientSecret":"s3cret"}`)
		f.want(a, 200, `{"token":"a.b.c","token_type":"Bearer","expires_in":3600}`)
		f.wantHeader(a, "Authorization", "Bearer a.b.c")
		f.wantHeader(a, "Access-Control-Expose-Headers", "Authorization")
		f.wantCalls(token.ClientSecretGrant{APIKey: "gh_k", Secret: "s3cret"})
		if a.outcome != (auth.Outcome{Reason: auth.OK, Subject: "user-1", TokenID: "t1"}) || f.observed[0] != "client_secret ok" {
			t.Errorf("%+v, %q", a.outcome, f.observed)
		}
	}
}

func TestClientSecretRefusals(t *testing.T) {
	f := newFixture(t, "client_secret")
	f.engine.err = &token.Error{Reason: auth.ClientInvalid, Detail: "which of the two is wrong"}
	a := f.send("POST /authenticate\n" + asJSON + "\n\n" + `{"apiKey":"k","clientSecret":"s"}`)
	f.want(a, 401, `{"type":"urn:gatehouse:problem:client_invalid","title":"The client is unknown or its secret is wrong","status":401,"code":"client_invalid","request_id":"req-1"}`)
	f.wantHeader(a, "Content-Type", "application/problem+json")
	f.wantHeader(a, "WWW-Authenticate", "Bearer") // nobody may send Basic here
	f.wantHeader(a, "Authorization", "")
	a = f.send("POST /authenticate\n" + asJSON + "\n\n" + `{"apiKey":"k"}`)
	f.want(a, 400, `{"type":"urn:gatehouse:problem:request_malformed","title":"The request is malformed","status":400,"code":"request_malformed","request_id":"req-1"}`)
}
