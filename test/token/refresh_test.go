package token_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// Tabs of one browser refresh at the same time, through two replicas: they all

// get the same new refresh token, and nobody is logged out.

func TestR01ParallelRefreshesAreOne(t *testing.T) {
	t.Parallel()
	one, two, _ := pair(t)
	first := one.login(t)
	const parallel = 64
	answers := make([]rig.Answer, parallel)
	var group sync.WaitGroup
	gate := make(chan struct{})
	for i := range answers {
		w := []*world{one, two}[i%2]
		group.Go(func() {
			<-gate
			answers[i] = w.refresh(t, first.Refresh)
		})
	}
	close(gate)
	group.Wait()
	successors, accesses := map[string]bool{}, map[string]bool{}
	for i, a := range answers {
		got := granted(t, a)
		successors[got.Refresh], accesses[got.Access] = true, true
		[]*world{two, one}[i%2].alive(t, got.Access)
	}
	if len(successors) != 1 || successors[first.Refresh] || successors[""] {
		t.Errorf("%d refreshes gave %d refresh tokens", parallel, len(successors))
	}
	if len(accesses) != parallel {
		t.Errorf("%d refreshes gave %d access tokens", parallel, len(accesses))
	}
	for successor := range successors {
		granted(t, two.refresh(t, successor))
	}
	one.alive(t, first.Access)
}

// A refresh token that comes again after the grace was stolen, from one side or

// the other: the session ends, on every replica.

func TestR02ReplayEndsTheSession(t *testing.T) {
	t.Parallel()
	one, two, _ := pair(t, set("GRACE", "1s"))
	first, bystander := one.login(t), one.login(t)
	second := granted(t, two.refresh(t, first.Refresh))
	third := granted(t, one.refresh(t, second.Refresh))
	var replayed rig.Answer
	rig.Eventually(t, "refused", func() bool {
		replayed = one.refresh(t, first.Refresh)
		return replayed.Status != 200
	})
	refused(t, replayed, 400, "invalid_grant")
	for _, w := range []*world{one, two} {
		for _, got := range []tokens{first, second, third} {
			w.dead(t, got.Access)
			refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
		}
		w.alive(t, bystander.Access)
	}
	granted(t, two.refresh(t, bystander.Refresh))
	line := one.Log.Wait(t, "refresh token replayed: session ended")
	claims := part(t, first.Access, 1)
	if line["level"] != "WARN" || line["sid"] != claims["sid"] || line["sub"] != "user-123" || line["client_id"] != "spa" || line["request_id"] != replayed.Header.Get("X-Request-Id") {
		t.Errorf("the audit line is %v", line)
	}
	if metrics := one.AdminCall(t, "GET", "/metrics", "").Body; !strings.Contains(metrics, `gatehouse_token_grants_total{dialect="oauth2",grant="refresh_token",result="grant_invalid"}`) {
		t.Error("the replay is not counted")
	}
	one.secretless(t, first, second, third)
}

// secretless checks that no token stands in the log.

func (w *world) secretless(t *testing.T, all ...tokens) {
	t.Helper()
	log := w.Log.String()
	for _, got := range all {
		for _, secret := range []string{got.Access, got.Refresh, got.Access[strings.LastIndexByte(got.Access, '.')+1:], "correct horse", "correct+horse"} {
			if secret != "" && strings.Contains(log, secret) {
				t.Errorf("the log has %.12s…", secret)
			}
		}
	}
}

// What was rotated is remembered over a restart, and a session that ended stays

// ended.

func TestR02ReplaySurvivesRestart(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(*testing.T) string{
		"embedded": func(*testing.T) string { return "file:gatehouse.db" },
		"redis":    func(t *testing.T) string { return storetest.StartRedis(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := rig.StartUpstream(t)
			cfg := rig.TokenService(url(t), up.URL)
			cfg.Env["GRACE"] = "0s"
			folder := t.TempDir()
			again := func() *world {
				g, err := rig.New(folder, cfg)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = g.Stop() })
				g.WaitReady(t)
				return &world{g, up, cfg.Env}
			}
			w := again()
			first, bystander := w.login(t), w.login(t)
			second := granted(t, w.refresh(t, first.Refresh))
			w.Kill()

			w = again()
			w.alive(t, second.Access)
			refused(t, w.refresh(t, first.Refresh), 400, "invalid_grant")
			w.Kill()

			w = again()
			w.dead(t, second.Access)
			refused(t, w.refresh(t, second.Refresh), 400, "invalid_grant")
			granted(t, w.refresh(t, bystander.Refresh))
		})
	}
}

// A client that did not get the answer asks again within the grace, and gets

// the same successor.

func TestR03LostAnswer(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url)
		first := w.login(t)
		lost := granted(t, w.refresh(t, first.Refresh))
		again := granted(t, w.refresh(t, first.Refresh))
		if again.Refresh != lost.Refresh || again.Refresh == first.Refresh || again.Access == lost.Access {
			t.Error("the same successor was not given again")
		}
		w.alive(t, again.Access)
		w.alive(t, lost.Access)
		if a, b := part(t, lost.Access, 1), part(t, again.Access, 1); a["sid"] != b["sid"] || a["jti"] == b["jti"] {
			t.Errorf("the claims are %v and %v", a, b)
		}
		third := granted(t, w.refresh(t, again.Refresh))
		if third.Refresh == again.Refresh || third.Refresh == first.Refresh {
			t.Error("the successor was not rotated")
		}
	})
}

// Each refresh reads the user again: what changed shows, and a disabled user is

// out.

func TestR05UserIsReadAgain(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url)
		users := func(text string) {
			t.Helper()
			before := strings.Count(w.Log.String(), `"configuration reloaded"`)
			name := filepath.Join(w.Folder, "users.yaml")
			if err := os.WriteFile(name+"~", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(name+"~", name); err != nil {
				t.Fatal(err)
			}
			rig.Eventually(t, "reloaded", func() bool { return strings.Count(w.Log.String(), `"configuration reloaded"`) > before })
		}
		got := w.login(t)
		if roles := part(t, got.Access, 1)["roles"]; !equal(roles, []any{"staff"}) {
			t.Fatalf("roles %v", roles)
		}
		users(strings.Replace(rig.Users, "roles: [staff]", "roles: [admin, staff]", 1))
		got = granted(t, w.refresh(t, got.Refresh))
		if roles := part(t, got.Access, 1)["roles"]; !equal(roles, []any{"admin", "staff"}) {
			t.Errorf("after the change: roles %v", roles)
		}
		users(strings.Replace(rig.Users, "username: jane", "username: jane\n  disabled: true", 1))
		refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
		refused(t, w.post(t, tokenPath, jane+"&client_id=spa"), 400, "invalid_grant")
		users(rig.Users)
		w.login(t)
	})
}

// The row is one of user, client and name: a user that has another id now is

// another user.

func TestR05AnotherUserOfThatName(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	got := w.login(t)
	name := filepath.Join(w.Folder, "users.yaml")
	if err := os.WriteFile(name, []byte(strings.Replace(rig.Users, "user-123", "user-124", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Log.Wait(t, "configuration reloaded")
	refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
}

// A refresh token is good for the client that it was issued to, and no other.

func TestR06RefreshTokenIsBoundToItsClient(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, set("GRACE", "0s"))
		refreshToken := "grant_type=refresh_token&refresh_token="
		ofSpa, ofBackend := w.login(t).Refresh, granted(t, w.post(t, tokenPath, jane+backend)).Refresh
		var session struct {
			Data struct{ Attributes struct{ RefreshToken string } }
		}
		decode(t, w.post(t, apiPath, `{"username":"jane","password":"correct horse"}`, keyLine).Body, &session)
		ofKey := session.Data.Attributes.RefreshToken
		ofNobody := granted(t, w.post(t, "/auth/jwt/login", jane)).Refresh
		asSpa := func(token string) rig.Answer { return w.refresh(t, token) }
		asOther := func(token string) rig.Answer { return w.post(t, tokenPath, refreshToken+token+"&client_id=other") }
		asBackend := func(token string) rig.Answer { return w.post(t, tokenPath, refreshToken+token+backend) }
		asKey := func(token string) rig.Answer {
			return w.post(t, apiPath+"/refresh", `{"refresh_token":"`+token+`"}`, keyLine)
		}
		asPartner := func(token string) rig.Answer {
			return w.post(t, apiPath+"/refresh", `{"refresh_token":"`+token+`"}`, partnerLine)
		}
		asNobody := func(token string) rig.Answer { return w.post(t, "/auth/jwt/refresh", "", "refresh-token: "+token) }
		for name, row := range map[string]struct {
			token   string
			foreign []func(string) rig.Answer
			own     func(string) rig.Answer
		}{
			"a public client":       {ofSpa, []func(string) rig.Answer{asOther, asBackend, asKey, asPartner}, asSpa},
			"a confidential client": {ofBackend, []func(string) rig.Answer{asSpa, asOther, asKey, asPartner, asNobody}, asBackend},
			"an API key":            {ofKey, []func(string) rig.Answer{asSpa, asOther, asBackend, asPartner, asNobody}, asKey},
			"no client":             {ofNobody, []func(string) rig.Answer{asSpa, asOther, asBackend, asKey, asPartner}, asNobody},
		} {
			for i, as := range row.foreign {
				if a := as(row.token); a.Status != 400 && a.Status != 401 {
					t.Errorf("a refresh token of %s was taken from another (%d): %d %s", name, i, a.Status, a.Body)
				}
			}
			if a := row.own(row.token); a.Status != 200 {
				t.Errorf("a refresh token of %s, afterwards: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

// A session ends for good when it is old enough, however it was kept alive.

// A session that is not used ends earlier.

// What the client may have shrinks and never grows.

func TestA18ScopeNeverGrows(t *testing.T) {
	t.Parallel()
	w := start(t, "memory:")
	refreshWith := func(token, scope string) rig.Answer {
		return w.post(t, tokenPath, "grant_type=refresh_token&client_id=spa&refresh_token="+token+"&scope="+scope)
	}
	narrow := w.login(t)
	for _, wider := range []string{"orders:read+orders:write", "orders:write", "admin", "orders:read+admin"} {
		refused(t, refreshWith(narrow.Refresh, wider), 400, "invalid_scope")
	}
	got := granted(t, refreshWith(narrow.Refresh, "orders:read"))
	if scope := part(t, got.Access, 1)["scope"]; scope != "orders:read" {
		t.Errorf("scope %v", scope)
	}
	wide := granted(t, w.post(t, tokenPath, jane+"&client_id=spa&scope=orders:read+orders:write"))
	less := granted(t, refreshWith(wide.Refresh, "orders:read"))
	if scope := part(t, less.Access, 1)["scope"]; scope != "orders:read" {
		t.Errorf("scope %v", scope)
	}
	for _, path := range []string{"/oauth2/token", "/oauth/token"} {
		a := w.post(t, path, "grant_type=client_credentials&client_id=reporting&client_secret=the-secret-of-reporting&scope=orders:read")
		if a.Status != 400 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
		tokenless(t, a)
	}
	refused(t, w.post(t, tokenPath, jane+"&client_id=other&scope=orders:write"), 400, "invalid_scope")
}

// A token is exchanged at several places at the same time: whoever was in time

// has a token, and they are all of one session, which one logout ends.
