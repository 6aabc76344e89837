package token_test

import (
	"net/url"
	"testing"

	"gatehouse/test/rig"
)

// formClient follows the guide of the dialect password_form.
type formClient struct {
	*ordinary
	access, refreshToken string
}

func (c *formClient) login(optional url.Values) {
	c.t.Helper()
	fields := url.Values{"grant_type": {"password"}, "username": {"jane@example.com"}, "password": {"correct horse"}}
	for name, values := range optional {
		fields[name] = values
	}
	c.keep(c.form("/auth/jwt/login", fields), 2)
}

// keep takes the tokens out of an answer, which must have the guide's shape.
func (c *formClient) keep(r reply, life int64) {
	c.t.Helper()
	c.kept(r)
	got := c.want(r, 200)
	members(c.t, got, "access_token", "refresh_token", "token_type", "expires_in")
	c.access, c.refreshToken = text(c.t, got, "access_token"), text(c.t, got, "refresh_token")
	if got["token_type"] != "bearer" || number(c.t, got, "expires_in") != life {
		c.t.Errorf("the answer is %v", got)
	}
}

func (c *formClient) call() int {
	c.t.Helper()
	return c.do("GET", "/api/", "", "Authorization", "Bearer "+c.access).status
}

// refresh is the guide's request, which has no body.
func (c *formClient) refresh(token string) reply {
	c.t.Helper()
	return c.do("POST", "/auth/jwt/refresh", "", "refresh-token", token, "Accept", "application/json")
}

func (c *formClient) postman(token string) reply {
	c.t.Helper()
	return c.form("/auth/jwt/postman-refresh", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func TestGuidePasswordForm(t *testing.T) {
	stores(t, func(t *testing.T, store string) {
		w := start(t, store, set("ACCESS_TTL", "2s"), set("GRACE", "0s"))
		c := &formClient{ordinary: w.client(t)}
		c.login(nil)
		if status := c.call(); status != 200 {
			t.Fatalf("a call is answered %d", status)
		}
		if seen := w.up.Last(t).Header; seen.Get("X-User-Id") != "user-123" || seen.Get("X-User-Email") != "" || seen.Get("Authorization") != "" {
			t.Errorf("the upstream is told %v", seen)
		}
		// What the guide calls "currently not used".
		for _, optional := range []url.Values{
			{"scope": {""}, "client_id": {"an-account-id"}, "client_secret": {""}},
			{"scope": {"everything"}, "client_id": {"an-account-id"}, "client_secret": {"a secret"}},
		} {
			c.login(optional)
			if status := c.call(); status != 200 {
				t.Errorf("after a login with %v: %d", optional, status)
			}
			c.keep(c.refresh(c.refreshToken), 2)
		}

		rig.Eventually(t, "expired", func() bool { return c.call() == 401 })
		first := c.refreshToken
		c.keep(c.refresh(first), 2)
		if status := c.call(); status != 200 || c.refreshToken == first {
			t.Errorf("after the refresh: %d", status)
		}
		second := c.refreshToken
		c.keep(c.postman(second), 2)
		if status := c.call(); status != 200 || c.refreshToken == second {
			t.Errorf("after Postman's refresh: %d", status)
		}
		// It can be used once only.
		third := c.refreshToken
		c.want(c.refresh(second), 401)
		c.want(c.postman(third), 401)
		rig.Eventually(t, "shut out", func() bool { return c.call() == 401 })
		c.login(nil)
		if status := c.call(); status != 200 {
			t.Errorf("after another login: %d", status)
		}
	})
}

// The guide's hour.
func TestPasswordFormLife(t *testing.T) {
	t.Parallel()
	c := &formClient{ordinary: start(t, "memory:").client(t)}
	c.keep(c.form("/auth/jwt/login", url.Values{"grant_type": {"password"}, "username": {"jane"}, "password": {"correct horse"}}), 3600)
	claims := part(t, c.access, 1)
	if number(t, claims, "exp")-number(t, claims, "iat") != 3600 {
		t.Errorf("the claims are %v", claims)
	}
}
