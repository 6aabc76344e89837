package endpoint

import (
	"testing"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

func TestA11ClientsNameThemselvesOnce(t *testing.T) {
	const malformed = `{"error":"invalid_request","error_description":"The request is malformed: `
	const twice, unknown = malformed + `the client authenticates twice: by Basic and in the body"}`, `{"error":"invalid_client","error_description":"The client is unknown or its secret is wrong"}`
	for _, tt := range []struct {
		name, header, form string
		want               token.ClientAuth
		refused            string // instead of it
	}{
		{"Basic", basic("shop", "s"), "", token.ClientAuth{ID: "shop", Secret: "s"}, ""},
		{"in any case", "Authorization: bASIC  c2hvcDpz", "", token.ClientAuth{ID: "shop", Secret: "s"}, ""},
		{"both halves are encoded", basic("sh%3Aop%2B+1", "a%25b+c%3a"), "", token.ClientAuth{ID: "sh:op+ 1", Secret: "a%b c:"}, ""},
		{"colons of the secret", basic("shop", "a:b:c"), "", token.ClientAuth{ID: "shop", Secret: "a:b:c"}, ""},
		{"no secret", basic("shop", ""), "", token.ClientAuth{ID: "shop"}, ""},
		{"form", "X-Other: 1", "client_id=sh%3Aop&client_secret=a%25b", token.ClientAuth{ID: "sh:op", Secret: "a%b"}, ""},
		{"public", "X-Other: 1", "client_id=shop", token.ClientAuth{ID: "shop"}, ""},
		{"the name in both", basic("shop", "s"), "client_id=shop", token.ClientAuth{ID: "shop", Secret: "s"}, ""},
		{"another scheme", "Authorization: Bearer a.b.c", "client_id=shop", token.ClientAuth{ID: "shop"}, ""},
		{"another scheme's name", "Authorization: Basically c2hvcDpz", "client_id=shop", token.ClientAuth{ID: "shop"}, ""},
		{"nothing by Basic", basic("", ""), "client_id=shop&client_secret=s", token.ClientAuth{ID: "shop", Secret: "s"}, ""},
		{"two secrets", basic("shop", "s"), "client_id=shop&client_secret=s", token.ClientAuth{}, twice},
		{"two names", basic("shop", "s"), "client_id=other", token.ClientAuth{}, twice},
		{"a secret without name", "X-Other: 1", "client_secret=s", token.ClientAuth{}, malformed + `client_id is missing"}`},
		{"a secret beside Basic", basic("shop", "s"), "client_secret=s", token.ClientAuth{}, malformed + `client_id is missing"}`},
		{"two headers", basic("shop", "s") + "\n" + basic("shop", "s"), "", token.ClientAuth{}, malformed + `more than one Authorization header"}`},
		{"nobody", "X-Other: 1", "", token.ClientAuth{}, unknown},
		{"nobody by Basic", basic("", ""), "", token.ClientAuth{}, unknown},
		{"no name by Basic", basic("", "s"), "client_id=shop", token.ClientAuth{}, unknown},
		{"no colon", "Authorization: Basic c2hvcA==", "client_id=shop", token.ClientAuth{}, unknown},
		{"no base64", "Authorization: Basic %%%", "client_id=shop", token.ClientAuth{}, unknown},
		{"more than base64", "Authorization: Basic c2hvcDpz%%%", "", token.ClientAuth{}, unknown},
		{"no padding", "Authorization: Basic c2hvcA", "client_id=shop", token.ClientAuth{}, unknown},
		{"broken name", basic("sh%zzop", "s"), "", token.ClientAuth{}, unknown},
		{"broken name alone", basic("sh%zzop", ""), "client_id=shop", token.ClientAuth{}, unknown},
		{"broken secret", basic("shop", "%z"), "", token.ClientAuth{}, unknown},
		{"not UTF-8", basic("shop", "\xff"), "", token.ClientAuth{}, unknown},
	} {
		f := newFixture(t, "oauth2")
		a := f.send("POST /oauth2/token\n" + asForm + "\n" + tt.header + "\n\ngrant_type=client_credentials&" + tt.form)
		if tt.refused == "" {
			f.wantCalls(token.ClientCredentialsGrant{Request: by(tt.want)})
			continue
		}
		if a.Body.String() != tt.refused+"\n" || a.Code != a.outcome.Reason.Status() {
			t.Errorf("%s: %d %s", tt.name, a.Code, a.Body)
		}
		f.wantCalls()
	}
}

// Where an API key is asked for, it stands for a client that does not name
// itself.
func TestClientsByAPIKey(t *testing.T) {
	for dialect, request := range map[string]string{
		"oauth2":        "POST /oauth2/token\n" + asForm + "\n\ngrant_type=password&username=jane&password=pw",
		"password_form": "POST /auth/jwt/login\n" + asForm + "\n\ngrant_type=password&username=jane&password=pw",
		"envelope":      "POST /v1/login\n" + asJSON + "\n\n" + `{"email":"jane","password":"pw"}`,
		"jsonapi":       "POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "\n\n" + `{"username":"jane","password":"pw"}`,
	} {
		f := newFixture(t, dialect, func(cfg *Config) { cfg.APIKeyHeader = "Api-Key" })
		f.caller.Decision = auth.Decision{Reason: auth.OK, Principal: auth.Principal{APIKeyID: "web-app"}}
		f.send(request)
		f.wantCalls(token.PasswordGrant{Request: byKey(), Username: "jane", Password: "pw", NoRefresh: dialect == "envelope"})
		if dialect == "oauth2" || dialect == "password_form" {
			f.send(request + "&client_id=shop")
			f.wantCalls(token.PasswordGrant{Request: by(token.ClientAuth{ID: "shop", Optional: dialect == "password_form"}), Username: "jane", Password: "pw"})
		}
	}
	f := newFixture(t, "jsonapi", func(cfg *Config) { cfg.APIKeyHeader = "" })
	f.send("POST /ma-authentication-ms/v1/api/oauth/token\n" + asJSON + "\n" + basic("shop", "s") + "\n\n" + `{"username":"jane","password":"pw"}`)
	f.wantCalls(token.PasswordGrant{Username: "jane", Password: "pw"})
}
