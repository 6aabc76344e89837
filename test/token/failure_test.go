package token_test

import (
	"testing"
	"time"

	"gatehouse/test/rig"
)

// asked are requests that need the store, with the tokens of one login each.
func (w *world) asked(t *testing.T, login tokens, info, exchanged string) map[string]func() rig.Answer {
	return map[string]func() rig.Answer{
		"login, oauth2":        func() rig.Answer { return w.good(t) },
		"login, jsonapi":       func() rig.Answer { return w.post(t, apiPath, takers[3].good, keyLine) },
		"login, password_form": func() rig.Answer { return w.post(t, "/auth/jwt/login", jane) },
		"login, envelope":      func() rig.Answer { return w.post(t, "/v1/login", takers[6].good) },
		"refresh":              func() rig.Answer { return w.refresh(t, login.Refresh) },
		"refresh, unknown":     func() rig.Answer { return w.refresh(t, login.Refresh[:30]+"AAAA"+login.Refresh[34:]) },
		"revoke access token":  func() rig.Answer { return w.post(t, revokePath, "client_id=spa&token="+login.Access) },
		"revoke refresh token": func() rig.Answer { return w.post(t, revokePath, "client_id=spa&token="+login.Refresh) },
		"logout, jsonapi":      func() rig.Answer { return w.get(t, apiPath+"/revoke", keyLine, bearer(info)) },
		"logout, envelope":     func() rig.Answer { return w.get(t, "/v1/logout", bearer(info)) },
		"exchange":             func() rig.Answer { return w.get(t, "/v1/token", bearer(exchanged)) },
	}
}

// Without the store nothing is issued, and nothing is said to be revoked.
func TestR11StoreDown(t *testing.T) {
	t.Parallel()
	one, _, redis := pair(t, set("STALENESS", "60s"))
	login, info, exchanged := one.login(t), one.login(t).Access, one.login(t).Access
	redis.Kill()
	for name, ask := range one.asked(t, login, info, exchanged) {
		began := time.Now()
		unavailable(t, name, ask())
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	one.alive(t, login.Access) // its session was not ended, and the list is not stale yet
	one.alive(t, info)
	one.alive(t, exchanged)
	redis.Start(t)
	rig.Eventually(t, "well again", func() bool { return one.good(t).Status == 200 })
}

// What needs a write is refused when the write is, and nothing is half done:
// afterwards all goes on where it was. There are no limits, which would be the
// first to fail.
func TestA17StoreThatRefusesWrites(t *testing.T) {
	t.Parallel()
	one, two, redis := pair(t, set("STALENESS", "60s"), set("PER_ACCOUNT", "off"), set("PER_IP", "off"))
	login, info, exchanged := one.login(t), one.login(t).Access, one.login(t).Access
	redis.Do(t, "CONFIG", "SET", "min-replicas-to-write", "1")
	for name, ask := range one.asked(t, login, info, exchanged) {
		if name == "refresh, unknown" {
			continue // nothing is written for it
		}
		unavailable(t, name, ask())
	}
	redis.Do(t, "CONFIG", "SET", "min-replicas-to-write", "0")
	for _, access := range []string{login.Access, info, exchanged} {
		one.alive(t, access)
		two.alive(t, access)
	}
	granted(t, two.refresh(t, login.Refresh))
	if a := two.get(t, "/v1/token", bearer(exchanged)); a.Status != 200 {
		t.Errorf("exchange, afterwards: %d %s", a.Status, a.Body)
	}
	if a := one.get(t, "/v1/logout", bearer(info)); a.Status != 200 {
		t.Errorf("logout, afterwards: %d %s", a.Status, a.Body)
	}
	two.dead(t, info)
}
