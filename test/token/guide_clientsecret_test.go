package token_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse/test/rig"
)

// partner is the guide's example client: it verifies its token with its own
// secret before each request, and takes the new one from the answer.
type partner struct {
	*ordinary
	token           string
	authentications int
}

func (c *partner) authenticate() {
	c.t.Helper()
	r := c.do("POST", "/authenticate", `{"apiKey":"`+rig.PartnerKey+`","clientSecret":"`+rig.PartnerSecret+`"}`, "Content-Type", "application/json")
	c.kept(r)
	got := c.want(r, 200)
	members(c.t, got, "token", "token_type", "expires_in")
	c.token = text(c.t, got, "token")
	if got["token_type"] != "Bearer" || number(c.t, got, "expires_in") < 1 {
		c.t.Errorf("the answer is %v", got)
	}
	if r.header.Get("Authorization") != "Bearer "+c.token {
		c.t.Errorf("Authorization is %q, not the same token", r.header.Get("Authorization"))
	}
	c.authentications++
}

// request makes an authorized request.
func (c *partner) request(path string) reply {
	c.t.Helper()
	if _, err := verifyBySecret(c.token); err != nil {
		c.authenticate()
	}
	r := c.do("GET", path, "", "Authorization", "Bearer "+c.token, "Content-Type", "application/json")
	if r.status == 200 {
		token, found := strings.CutPrefix(r.header.Get("Authorization"), "Bearer ")
		if !found || token == c.token {
			c.t.Fatalf("a successful answer carries no new token: %q", r.header.Get("Authorization"))
		}
		c.kept(r)
		c.token = token
	}
	return r
}

func TestGuideClientSecret(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		const life = 2 * time.Second
		w := start(t, url, set("ACCESS_TTL", life.String()), set("GRACE", "1s"))
		c := &partner{ordinary: w.client(t)}
		c.authenticate()
		first := part(t, c.token, 1)
		if header := part(t, c.token, 0); header["alg"] != "HS256" || header["kid"] != "partner-1" {
			t.Errorf("the token's header is %v", header)
		}
		if exp, iat := number(t, first, "exp"), number(t, first, "iat"); exp-iat != int64(life.Seconds()) {
			t.Errorf("the token lives %d s", exp-iat)
		}
		calls := 0
		for began := time.Now(); time.Since(began) < 3*life; time.Sleep(50 * time.Millisecond) {
			if r := c.request("/sliding/some-endpoint"); r.status != 200 {
				t.Fatalf("after %v: %d %s", time.Since(began), r.status, r.body)
			}
			if _, err := verifyBySecret(c.token); err != nil {
				t.Fatalf("the new token does not verify with the client's secret: %v", err)
			}
			calls++
		}
		if c.authentications != 1 {
			t.Errorf("the client had to authenticate %d times in %d calls", c.authentications, calls)
		}
		last := part(t, c.token, 1)
		if last["sid"] != first["sid"] || last["jti"] == first["jti"] || number(t, last, "iat") < number(t, first, "iat")+int64(life.Seconds()) {
			t.Errorf("the last token is %v, the first was %v", last, first)
		}
		for _, r := range w.up.Take() {
			if r.Header.Get("X-User-Id") != "partner-1" || r.Header.Get("Authorization") != "" {
				t.Fatalf("the upstream is told %v", r.Header)
			}
		}
		// A token that was let expire becomes invalid, and a new one is obtained.
		rig.Eventually(t, "expired", func() bool {
			_, err := verifyBySecret(c.token)
			return err != nil
		})
		w.call(t, c.token).Refused(t, 401, "token_expired")
		if r := c.request("/sliding/"); r.status != 200 || c.authentications != 2 {
			t.Errorf("after %d authentications: %d", c.authentications, r.status)
		}
	})
}

// The guide's hour.
func TestClientSecretLife(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	got := object(t, w.post(t, "/authenticate", `{"apiKey":"`+rig.PartnerKey+`","clientSecret":"`+rig.PartnerSecret+`"}`).Body)
	claims, err := verifyBySecret(text(t, got, "token"))
	if err != nil || number(t, got, "expires_in") != 3600 || claims["exp"].(float64)-claims["iat"].(float64) != 3600 {
		t.Errorf("%v: %v, %v", err, got, claims)
	}
}

// Who has a client's secret can sign what he likes: it speaks for this client,
// and for nobody else.
func TestClientSecretSpeaksForItsClientAlone(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	now := time.Now().Unix()
	own := jwt.MapClaims{
		"iss": "https://auth.example.com", "aud": "api", "sub": "partner-1", "client_id": "partner-1",
		"iat": now, "nbf": now, "exp": now + 600, "jti": "a", "sid": "b", "auth_time": now,
	}
	w.alive(t, forge(t, "partner-1", own))
	w.up.Take()
	for name, changes := range map[string]jwt.MapClaims{
		"a user":           {"sub": "user-123"},
		"another client":   {"client_id": "backend"},
		"both":             {"sub": "backend", "client_id": "backend"},
		"azp":              {"azp": "backend"},
		"a scope":          {"scope": "orders:read"},
		"a role":           {"roles": []string{"admin"}},
		"an email address": {"email": "jane@example.com"},
		"no client":        {"client_id": nil},
	} {
		claims := maps.Clone(own)
		maps.Copy(claims, changes)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		if a := w.call(t, forge(t, "partner-1", claims)); a.Status != 401 {
			t.Errorf("%s: %d", name, a.Status)
		}
		w.up.Nothing(t)
	}
	for _, kid := range []string{"k1", "", "spa", "backend"} {
		if a := w.call(t, forge(t, kid, own)); a.Status != 401 {
			t.Errorf("under the kid %q: %d", kid, a.Status)
		}
	}
}

// Without its API key a client gets no token; a revocation of the client ends
// what it has.
func TestClientSecretOfRevokedClient(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	c := &partner{ordinary: w.client(t)}
	c.authenticate()
	w.revoke(t, `{"kind":"client","id":"partner-1"}`)
	w.dead(t, c.token)
	nextSecond() // the second of the revocation is included
	c.authenticate()
	w.alive(t, c.token)
	w.revoke(t, `{"kind":"api_key","id":"partner-1"}`)
	a := w.post(t, "/authenticate", takers[4].good)
	if a.Status != 401 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	tokenless(t, a)
}

// A partner can end its own session, and with a token that it signed itself no
// other.
func TestClientSecretLogout(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	c := &partner{ordinary: w.client(t)}
	c.authenticate()
	first, jane := c.token, w.login(t)
	c.request("/sliding/")
	now, victim := time.Now().Unix(), part(t, jane.Access, 1)
	stolen := forge(t, "partner-1", jwt.MapClaims{
		"iss": "https://auth.example.com", "aud": "api", "sub": "partner-1", "client_id": "partner-1",
		"iat": now, "nbf": now, "exp": now + 600, "jti": victim["jti"], "sid": victim["sid"], "auth_time": now,
	})
	for _, path := range []string{"/v1/logout", "/v1/token", apiPath + "/revoke"} {
		if a := w.get(t, path, keyLine, bearer(stolen)); a.Status/100 == 2 {
			t.Errorf("%s with another's ids: %d %s", path, a.Status, a.Body)
		}
		w.alive(t, jane.Access)
	}
	w.post(t, revokePath, "client_id=partner-1&token="+stolen)
	w.alive(t, jane.Access)
	granted(t, w.refresh(t, jane.Refresh))

	if a := w.get(t, "/v1/logout", bearer(first)); a.Status != 200 {
		t.Errorf("logout: %d %s", a.Status, a.Body)
	}
	w.dead(t, first)
	w.dead(t, c.token)
}
