package token_test

import (
	"fmt"
	"testing"

	"gatehouse/test/rig"
)

// views are all that can be asked about an access token of the client backend:
// each reports whether it is still good.
func (w *world) views(t *testing.T, access string) map[string]func() bool {
	ok := func(a rig.Answer) bool {
		if a.Status != 200 && a.Status != 401 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		return a.Status == 200
	}
	return map[string]func() bool{
		"a call": func() bool { return ok(w.call(t, access)) },
		"info":   func() bool { return ok(w.get(t, apiPath+"/info", keyLine, bearer(access))) },
		"introspection": func() bool {
			a := w.post(t, inspectPath, "token="+access+backend)
			got := object(t, a.Body)
			if a.Status != 200 || got["active"] == false && len(got) != 1 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			return got["active"] == true
		},
	}
}

// What shuts a token out of the data plane makes it inactive, at the same time
// and for all who ask.
func TestR21DeadTokensAreInactive(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, set("ACCESS_TTL", "3s"), set("GRACE", "1s"))
		for name, kill := range map[string]func(got tokens, claims map[string]any){
			"logout":           func(got tokens, _ map[string]any) { w.get(t, "/v1/logout", bearer(got.Access)) },
			"revocation":       func(got tokens, _ map[string]any) { w.post(t, revokePath, "token="+got.Refresh+backend) },
			"jti":              func(_ tokens, c map[string]any) { w.revoke(t, fmt.Sprintf(`{"kind":"jti","id":%q}`, c["jti"])) },
			"sid":              func(_ tokens, c map[string]any) { w.revoke(t, fmt.Sprintf(`{"kind":"sid","id":%q}`, c["sid"])) },
			"exchange":         func(got tokens, _ map[string]any) { w.get(t, "/v1/token", bearer(got.Access)) },
			"expiry":           func(tokens, map[string]any) {},
			"subject":          func(tokens, map[string]any) { w.revoke(t, `{"kind":"sub","id":"user-123"}`) },
			"issuer, a while ": func(tokens, map[string]any) { w.revoke(t, `{"kind":"issuer","id":"main"}`) },
		} {
			nextSecond() // behind what the one before revoked by time
			got := granted(t, w.post(t, tokenPath, jane+backend))
			views := w.views(t, got.Access)
			for view, active := range views {
				if !active() {
					t.Errorf("%s: %s says that a good token is not", name, view)
				}
			}
			kill(got, part(t, got.Access, 1))
			for view, active := range views {
				rig.Eventually(t, "inactive to "+view, func() bool { return !active() })
			}
		}
	})
}

// What is stale is not known: nobody says that a token is good, or that it is
// not.
func TestR21StaleListIsNoAnswer(t *testing.T) {
	t.Parallel()
	one, _, redis := pair(t, set("STALENESS", "1s"))
	got := granted(t, one.post(t, tokenPath, jane+backend))
	redis.Kill()
	rig.Eventually(t, "stale", func() bool { return one.call(t, got.Access).Status == 503 })
	unavailable(t, "info", one.get(t, apiPath+"/info", keyLine, bearer(got.Access)))
	unavailable(t, "introspection", one.post(t, inspectPath, "token="+got.Access+backend))
}

// No token of one kind passes for another.
func TestJ18KindsOfTokens(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	got := granted(t, w.post(t, tokenPath, jane+backend))
	for name, a := range map[string]rig.Answer{
		"a refresh token as a bearer":         w.call(t, got.Refresh),
		"a refresh token for information":     w.get(t, apiPath+"/info", keyLine, bearer(got.Refresh)),
		"a refresh token to be exchanged":     w.get(t, "/v1/token", bearer(got.Refresh)),
		"an access token to be refreshed":     w.post(t, tokenPath, "grant_type=refresh_token&refresh_token="+got.Access+backend),
		"an access token for another dialect": w.post(t, "/auth/jwt/refresh", "", "refresh-token: "+got.Access),
	} {
		if a.Status != 401 && a.Status != 400 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		tokenless(t, a)
	}
	if typ := part(t, got.Access, 0)["typ"]; typ != "at+jwt" {
		t.Errorf("typ %v (RFC 9068 §2.1)", typ)
	}
}
