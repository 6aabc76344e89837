package token_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// trayLinx is a custom integration as the guide describes it: it sends both
// credentials with every request, and answers a 401 with one refresh and one
// further try.
type trayLinx struct {
	*ordinary
	access, refreshToken string
	logins, refreshes    int
}

func (c *trayLinx) login() map[string]any {
	c.t.Helper()
	r := c.do("POST", apiPath, `{
    "username": "jane@example.com",
    "password": "correct horse"
  }`, "Content-Type", "application/json", "Api-Key", rig.WebKey)
	c.kept(r)
	c.logins++
	return c.session(c.want(r, 200))
}

// refresh reports whether there are new tokens.
func (c *trayLinx) refresh() bool {
	c.t.Helper()
	r := c.do("POST", apiPath+"/refresh", `{"refresh_token": "`+c.refreshToken+`"}`, "Content-Type", "application/json", "Api-Key", rig.WebKey)
	if r.status == 401 {
		return false
	}
	c.kept(r)
	c.refreshes++
	c.session(c.want(r, 200))
	return true
}

// session keeps the tokens of a session document, and returns its attributes.
func (c *trayLinx) session(document map[string]any) map[string]any {
	c.t.Helper()
	members(c.t, document, "data")
	data := document["data"].(map[string]any)
	members(c.t, data, "id", "type", "attributes")
	if data["id"] != "user-123" || data["type"] != "session" {
		c.t.Errorf("the session is %v %v", data["type"], data["id"])
	}
	attributes := data["attributes"].(map[string]any)
	c.access, c.refreshToken = text(c.t, attributes, "accessToken"), text(c.t, attributes, "refreshToken")
	return attributes
}

func (c *trayLinx) authorized(method, path string) reply {
	c.t.Helper()
	return c.do(method, path, "", "Authorization", "Bearer "+c.access, "Api-Key", rig.WebKey, "Accept", "application/json")
}

// request is authorized, with the guide's flow around it.
func (c *trayLinx) request(path string) reply {
	c.t.Helper()
	r := c.authorized("GET", path)
	if r.status != 401 {
		return r
	}
	if !c.refresh() {
		c.login()
	}
	return c.authorized("GET", path)
}

// The guide's tokens are RS256.
func signsRS256(c *rig.Config) {
	replace("algorithm: ES256", "algorithm: RS256")(c)
	c.Files["k1.pem"] = rig.PrivatePEM(rig.KeyPairs()["RSA"])
}

func TestGuideTrayLinx(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, signsRS256, set("ACCESS_TTL", "2s"), set("GRACE", "0s"))
		c := &trayLinx{ordinary: w.client(t)}

		attributes := c.login()
		members(t, attributes, "accessToken", "refreshToken", "email", "firstName", "lastName")
		if attributes["email"] != "jane@example.com" || attributes["firstName"] != "Jane" || attributes["lastName"] != "Doe" {
			t.Errorf("the profile is %v", attributes)
		}
		if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(c.access) || !strings.HasPrefix(c.access, "eyJ") {
			t.Errorf("the access token has other characters: %q", c.access)
		}
		verifyByJWKS(t, c.ordinary, c.access, "RS256")

		// Using the token: both credentials, and the user's identity goes upstream.
		if r := c.authorized("GET", "/both/organizations"); r.status != 200 {
			t.Fatalf("a call is answered %d %s", r.status, r.body)
		}
		seen := w.up.Last(t).Header
		if seen.Get("X-User-Id") != "user-123" || seen.Get("X-Client-Id") != "web" || seen.Get("Authorization") != "" || seen.Get("Api-Key") != "" {
			t.Errorf("the upstream is told %v", seen)
		}
		c.want(c.do("GET", "/both/organizations", "", "Api-Key", rig.WebKey), 401)
		c.want(c.do("GET", "/both/organizations", "", "Authorization", "Bearer "+c.access), 401)
		c.want(c.do("GET", "/both/organizations", "", "Authorization", "Bearer "+c.access+"$", "Api-Key", rig.WebKey), 401)
		w.up.Nothing(t)

		c.info(t)
		c.expiry(t)
		c.logout(t)
	})
}

// info checks a token and inspects its claims.
func (c *trayLinx) info(t *testing.T) {
	document := c.want(c.authorized("GET", apiPath+"/info"), 200)
	data := document["data"].(map[string]any)
	members(t, data, "id", "type", "attributes")
	claims := part(t, c.access, 1)
	if data["type"] != "token" || data["id"] != claims["jti"] {
		t.Errorf("the document is %v %v", data["type"], data["id"])
	}
	for name, value := range claims {
		if got := data["attributes"].(map[string]any)[name]; !equal(got, value) {
			t.Errorf("the claim %s is shown as %v, not %v", name, got, value)
		}
	}
	c.want(c.do("GET", apiPath+"/info", "", "Authorization", "Bearer "+c.access), 401)
}

// expiry lets the access token expire: the client goes on without a login.
func (c *trayLinx) expiry(t *testing.T) {
	first, firstRefresh := c.access, c.refreshToken
	rig.Eventually(t, "expired", func() bool {
		return c.authorized("GET", "/both/").status == 401
	})
	c.want(c.authorized("GET", apiPath+"/info"), 401)
	if r := c.request("/both/again"); r.status != 200 || c.refreshes != 1 || c.logins != 1 {
		t.Errorf("after %d refreshes and %d logins: %d %s", c.refreshes, c.logins, r.status, r.body)
	}
	if c.access == first || c.refreshToken == firstRefresh {
		t.Error("a token is not new")
	}
	if a, b := part(t, first, 1), part(t, c.access, 1); a["sid"] != b["sid"] || !equal(a["auth_time"], b["auth_time"]) || a["jti"] == b["jti"] {
		t.Errorf("the refreshed token is of another session: %v, %v", a, b)
	}
	// The old refresh token was invalidated. Who still has it is not trusted:
	// the session ends, and the flow leads to another login.
	kept := c.refreshToken
	c.refreshToken = firstRefresh
	if c.refresh() {
		t.Error("the old refresh token still works")
	}
	c.refreshToken = kept
	if r := c.request("/both/"); r.status != 200 || c.logins != 2 {
		t.Errorf("after %d logins: %d %s", c.logins, r.status, r.body)
	}
}

// logout revokes the token.
func (c *trayLinx) logout(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		c.login()
		r := c.authorized(method, apiPath+"/revoke")
		c.want(r, 200)
		began := time.Now()
		for _, path := range []string{"/both/", apiPath + "/info", apiPath + "/revoke"} {
			rig.Eventually(t, "shut out", func() bool { return c.authorized("GET", path).status == 401 })
		}
		if time.Since(began) > time.Second {
			t.Error("logout does not hold at once")
		}
		if c.refresh() {
			t.Error("the refresh token of an ended session works")
		}
	}
}
