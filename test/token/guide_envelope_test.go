package token_test

import (
	"testing"
	"time"

	"gatehouse/test/rig"
)

// envelope follows the guide of the dialect of that name.
type envelope struct{ *ordinary }

// token is the access token in an answer, whose data must have those members
// and be of that type.
func (c envelope) token(r reply, kind string, life int64, names ...string) string {
	c.t.Helper()
	c.kept(r)
	got := c.want(r, 200)
	members(c.t, got, "success", "data")
	data := got["data"].(map[string]any)
	members(c.t, data, append(names, "type", "access_token", "expires_in")...)
	if got["success"] != true || data["type"] != kind || number(c.t, data, "expires_in") != life {
		c.t.Errorf("the answer is %v", got)
	}
	return text(c.t, data, "access_token")
}

func (c envelope) login() string {
	c.t.Helper()
	return c.token(c.do("POST", "/v1/login", `{
  "email": "jane@example.com",
  "password": "correct horse"
}`, "Content-Type", "application/json"), "token", 3600)
}

func (c envelope) authorized(method, path, token string) reply {
	c.t.Helper()
	return c.do(method, path, "", "Authorization", "Bearer "+token)
}

// out waits until a token is blacklisted.
func (c envelope) out(token string) {
	c.t.Helper()
	for _, path := range []string{"/api/", "/v1/token", "/v1/logout"} {
		rig.Eventually(c.t, "blacklisted", func() bool { return c.authorized("GET", path, token).status == 401 })
	}
}

func (c envelope) in(token string) {
	c.t.Helper()
	if r := c.authorized("GET", "/api/", token); r.status != 200 {
		c.t.Errorf("a call is answered %d %s", r.status, r.body)
	}
}

func TestGuideEnvelope(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		w := start(t, store)
		c := envelope{w.client(t)}
		first := c.login()
		c.in(first)
		wrong := c.want(c.do("POST", "/v1/login", `{"email":"jane@example.com","password":"wrong"}`, "Content-Type", "application/json"), 401)
		members(t, wrong, "message")
		if wrong["message"] != "Invalid credentials" {
			t.Errorf("the error is %v", wrong)
		}

		for _, method := range []string{"GET", "POST"} {
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // times are whole seconds
			second := c.token(c.authorized(method, "/v1/token", first), "refresh_token", 3600, "token_type")
			c.in(second)
			c.out(first)
			a, b := part(t, first, 1), part(t, second, 1)
			for _, name := range []string{"iat", "nbf", "exp"} {
				if number(t, b, name) <= number(t, a, name) {
					t.Errorf("%s is not updated: %v, %v", name, a[name], b[name])
				}
			}
			if a["sid"] != b["sid"] || !equal(a["auth_time"], b["auth_time"]) || a["sub"] != b["sub"] {
				t.Errorf("the new token is of another session: %v, %v", a, b)
			}
			first = second
		}

		c.want(c.authorized("GET", "/v1/logout", first), 200)
		c.out(first)
		posted := c.login()
		c.want(c.authorized("POST", "/v1/logout", posted), 200)
		c.out(posted)
		c.clientCredentials(t)
	})
}

// clientCredentials are the guide's tokens that end after 15 minutes.
func (c envelope) clientCredentials(t *testing.T) {
	const asJSON = `{
  "grant_type": "client_credentials",
  "scope": "red-marker-review",
  "client_id": "reporting",
  "client_secret": "the-secret-of-reporting"
}`
	const asForm = "grant_type=client_credentials&scope=red-marker-review&client_id=reporting&client_secret=the-secret-of-reporting"
	for _, body := range []string{asJSON, asForm} {
		r := c.do("POST", "/oauth/token", body, "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")
		token := c.token(r, "token", 900)
		claims := part(t, token, 1)
		if claims["scope"] != "red-marker-review" || claims["client_id"] != "reporting" || number(t, claims, "exp")-number(t, claims, "iat") != 900 {
			t.Errorf("the claims are %v", claims)
		}
		c.in(token)
		c.want(c.authorized("GET", "/v1/logout", token), 200)
		c.out(token)
	}
}
