package endpoint

import (
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

const passwordFormText = `{"access_token":"a.b.c","refresh_token":"r2","token_type":"bearer","expires_in":3600}`

func optional(id, secret string) token.Request {
	return by(token.ClientAuth{ID: id, Secret: secret, Optional: true})
}

func TestPasswordFormLogin(t *testing.T) {
	f := newFixture(t, "password_form")
	for body, want := range map[string]token.PasswordGrant{
		"grant_type=password&username=jane&password=p%26w+x":                                          {Request: optional("", ""), Username: "jane", Password: "p&w x"},
		"grant_type=password&username=jane&password=pw&scope=&client_id=&client_secret=":              {Request: optional("", ""), Username: "jane", Password: "pw"},
		"grant_type=password&username=jane&password=pw&scope=a+b&client_id=acc-1":                     {Request: optional("acc-1", ""), Username: "jane", Password: "pw", Scopes: []string{"a", "b"}},
		"client_secret=s&client_id=acc-1&password=pw&username=jane&grant_type=password&something=new": {Request: optional("acc-1", "s"), Username: "jane", Password: "pw"},
	} {
		a := f.send("POST /auth/jwt/login\n" + asForm + "; charset=UTF-8\nAccept: application/json\n\n" + body)
		f.want(a, 200, passwordFormText)
		f.wantHeader(a, "Content-Type", "application/json")
		f.wantCalls(want)
	}
	if f.observed[0] != "password ok" {
		t.Errorf("%q", f.observed)
	}
}

func TestPasswordFormRefresh(t *testing.T) {
	f := newFixture(t, "password_form")
	f.want(f.send("POST /auth/jwt/refresh\nrefresh-token: r1\nAccept: application/json"), 200, passwordFormText)
	f.wantCalls(token.RefreshGrant{Request: optional("", ""), RefreshToken: "r1"})
	f.want(f.send("POST /auth/jwt/refresh\nRefresh-Token: r1\nContent-Type: text/plain\n\n{what ever"), 200, passwordFormText)
	f.wantCalls(token.RefreshGrant{Request: optional("", ""), RefreshToken: "r1"})
	for _, header := range []string{"X-Other: 1", "refresh-token:", "refresh-token: r1\nrefresh-token: r1"} {
		a := f.send("POST /auth/jwt/refresh\n" + header)
		f.want(a, 400, `{"detail":"The request is malformed: want one header refresh-token","code":"request_malformed"}`)
	}
	f.wantCalls()
}

func TestPasswordFormPostmanRefresh(t *testing.T) {
	f := newFixture(t, "password_form")
	f.want(f.send("POST /auth/jwt/postman-refresh\n"+asForm+"\n"+basic("acc-1", "s")+"\n\ngrant_type=refresh_token&refresh_token=r1&scope=all"), 200, passwordFormText)
	f.wantCalls(token.RefreshGrant{Request: optional("acc-1", "s"), RefreshToken: "r1"})
	f.want(f.send("POST /auth/jwt/postman-refresh\n"+asForm+"\n"+basic("", "")+"\n\ngrant_type=refresh_token&refresh_token=r1&client_id=acc-1"), 200, passwordFormText)
	f.wantCalls(token.RefreshGrant{Request: optional("acc-1", ""), RefreshToken: "r1"})
	if f.observed[0] != "refresh_token ok" {
		t.Errorf("%q", f.observed)
	}
}

func TestPasswordFormRefusals(t *testing.T) {
	f := newFixture(t, "password_form")
	for request, want := range map[string]string{
		"/login\n" + asForm + "\n\nusername=jane&password=pw":                                     `{"detail":"The request is malformed: grant_type is missing","code":"request_malformed"}`,
		"/login\n" + asForm + "\n\ngrant_type=refresh_token&username=jane&password=pw":            `{"detail":"The grant type is not supported: grant_type must be password","code":"grant_unsupported"}`,
		"/postman-refresh\n" + asForm + "\n\ngrant_type=password&refresh_token=r":                 `{"detail":"The grant type is not supported: grant_type must be refresh_token","code":"grant_unsupported"}`,
		"/postman-refresh\n" + asForm + "\n\ngrant_type=refresh_token":                            `{"detail":"The request is malformed: refresh_token is missing","code":"request_malformed"}`,
		"/login\n" + asForm + "\n\ngrant_type=password&username=jane&password=pw&client_secret=s": `{"detail":"The request is malformed: client_id is missing","code":"request_malformed"}`,
	} {
		f.want(f.send("POST /auth/jwt"+request), 400, want)
	}
	f.wantCalls()
	for reason, want := range map[auth.Reason]string{
		auth.CredentialsInvalid: `{"detail":"The user name or password is wrong","code":"credentials_invalid"}`,
		auth.ClientInvalid:      `{"detail":"The client is unknown or its secret is wrong","code":"client_invalid"}`,
	} {
		f.engine.err = &token.Error{Reason: reason, Detail: "more"}
		a := f.send("POST /auth/jwt/login\n" + asForm + "\n\ngrant_type=password&username=jane&password=wrong")
		f.want(a, 401, want)
		f.wantHeader(a, "WWW-Authenticate", map[auth.Reason]string{auth.CredentialsInvalid: "Bearer", auth.ClientInvalid: `Basic realm="gatehouse"`}[reason])
	}
}

func TestPasswordFormCookie(t *testing.T) {
	f := newFixture(t, "password_form", func(cfg *Config) { cfg.Cookie = "__Host-session" })
	f.engine.grant.ExpiresIn = 90 * time.Second
	for _, request := range []string{
		"/login\n" + asForm + "\n\ngrant_type=password&username=jane&password=pw",
		"/refresh\nrefresh-token: r1",
		"/postman-refresh\n" + asForm + "\n\ngrant_type=refresh_token&refresh_token=r1",
	} {
		f.engine.err = nil
		a := f.send("POST /auth/jwt" + request)
		f.want(a, 200, `{"access_token":"a.b.c","refresh_token":"r2","token_type":"bearer","expires_in":90}`)
		f.wantHeader(a, "Set-Cookie", "__Host-session=a.b.c; Path=/; Max-Age=90; HttpOnly; Secure; SameSite=Strict")
		f.engine.err = &token.Error{Reason: auth.CredentialsInvalid}
		f.wantHeader(f.send("POST /auth/jwt"+request), "Set-Cookie", "")
	}
}

// Another site's page must not be able to log the browser in to an account of
// its own. Tokens themselves are never taken from a cookie here.
func TestA13CookiesAreNotPlantedFromOtherSites(t *testing.T) {
	const login = "\n" + asForm + "\n\ngrant_type=password&username=jane&password=pw"
	cookie := func(cfg *Config) { cfg.Cookie = "__Host-session" }
	for header, allowed := range map[string]bool{
		"X-Other: 1":                    true, // no browser
		"Sec-Fetch-Site: same-origin":   true,
		"Sec-Fetch-Site: none":          true,
		"Origin: http://gw.example.com": true,
		"Sec-Fetch-Site: cross-site":    false,
		"Sec-Fetch-Site: same-site":     false,
		"Origin: https://evil.example":  false,
		"Origin: null":                  false,
	} {
		f := newFixture(t, "password_form", cookie)
		a := f.send("POST /auth/jwt/login\n" + header + login)
		if allowed {
			f.want(a, 200, passwordFormText)
			continue
		}
		f.want(a, 403, `{"detail":"The request comes from another site","code":"origin_forbidden"}`)
		f.wantHeader(a, "Set-Cookie", "")
		f.wantCalls()
		f = newFixture(t, "password_form") // without a cookie it does no harm
		f.want(f.send("POST /auth/jwt/login\n"+header+login), 200, passwordFormText)
	}
	f := newFixture(t, "password_form", cookie)
	f.want(f.send("POST /auth/jwt/refresh\nCookie: refresh-token=r1; __Host-session=r1"), 400, `{"detail":"The request is malformed: want one header refresh-token","code":"request_malformed"}`)
	f.wantCalls()
}
