package token_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// renewed is a token that came with an answer, in the place of another.
func (w *world) renewed(t *testing.T, access string) string {
	t.Helper()
	a := w.get(t, "/sliding/", bearer(access))
	if a.Status != 200 || a.Token() == "" {
		t.Fatalf("not renewed: %d %s", a.Status, a.Body)
	}
	return a.Token()
}

// Logging out with any token of a session, an old one too, ends all that was
// renewed, refreshed or exchanged in it, everywhere.
func TestR07LogoutEndsAllOfTheSession(t *testing.T) {
	t.Parallel()
	one, two, _ := pair(t)
	for name, logout := range map[string]func(t *testing.T, w *world, first, last tokens) rig.Answer{
		"revoke, oldest access token": func(t *testing.T, w *world, first, _ tokens) rig.Answer {
			return w.post(t, revokePath, "client_id=spa&token="+first.Access)
		},
		"revoke, newest refresh token": func(t *testing.T, w *world, _, last tokens) rig.Answer {
			return w.post(t, revokePath, "client_id=spa&token="+last.Refresh)
		},
		"revoke, oldest refresh token": func(t *testing.T, w *world, first, _ tokens) rig.Answer {
			return w.post(t, revokePath, "client_id=spa&token="+first.Refresh)
		},
		"jsonapi, oldest": func(t *testing.T, w *world, first, _ tokens) rig.Answer {
			return w.get(t, apiPath+"/revoke", keyLine, bearer(first.Access))
		},
		"envelope, newest": func(t *testing.T, w *world, _, last tokens) rig.Answer {
			return w.get(t, "/v1/logout", bearer(last.Access))
		},
		"admin API": func(t *testing.T, w *world, first, _ tokens) rig.Answer {
			return w.AdminCall(t, "DELETE", "/v1/sessions/"+text(t, part(t, first.Access, 1), "sid"), "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, bystander := one.login(t), one.login(t)
			slid := two.renewed(t, one.renewed(t, first.Access))
			refreshed := granted(t, two.refresh(t, first.Refresh))
			last := granted(t, one.refresh(t, refreshed.Refresh))
			all := []string{first.Access, slid, refreshed.Access, one.renewed(t, refreshed.Access), last.Access, two.renewed(t, last.Access)}
			if a := logout(t, one, first, last); a.Status/100 != 2 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			for _, access := range all {
				one.call(t, access).Refused(t, 401, "token_revoked") // at once, where it was asked for
				two.dead(t, access)
			}
			for _, w := range []*world{one, two} {
				for _, token := range []string{first.Refresh, refreshed.Refresh, last.Refresh} {
					refused(t, w.refresh(t, token), 400, "invalid_grant")
				}
				w.alive(t, bystander.Access)
			}
			granted(t, two.refresh(t, bystander.Refresh))
		})
	}
}

// sessions are the ids of a subject's sessions, newest first.
func (w *world) sessions(t *testing.T, subject string) []string {
	t.Helper()
	a := w.AdminCall(t, "GET", "/v1/sessions?subject="+subject, "")
	if a.Status != 200 {
		t.Fatalf("listing sessions: %d %s", a.Status, a.Body)
	}
	var list struct{ Sessions []struct{ SID string } }
	decode(t, a.Body, &list)
	var ids []string
	for _, s := range list.Sessions {
		ids = append(ids, s.SID)
	}
	return ids
}

// run runs a verb beside the gateway and returns what it prints.
func (w *world) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := rig.Command(w.Folder, args...)
	cmd.Env = append(cmd.Environ(), w.environment()...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", args, err, out, &errs)
	}
	return string(out)
}

// Sessions are listed and ended by the admin API and by the command line.
func TestSessionsListedAndEnded(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url)
		if ids := w.sessions(t, "user-123"); len(ids) != 0 {
			t.Errorf("before any login: %q", ids)
		}
		w.post(t, tokenPath, "grant_type=password&username=bob&password=staple+battery&client_id=spa")
		var logins []tokens
		var ids []string
		for range 3 {
			logins = append(logins, w.login(t))
			ids = append(ids, text(t, part(t, logins[len(logins)-1].Access, 1), "sid"))
		}
		logins[0] = granted(t, w.refresh(t, logins[0].Refresh))
		listed := w.sessions(t, "user-123")
		for _, id := range ids {
			if !strings.Contains(fmt.Sprint(listed), id) || len(listed) != 3 {
				t.Errorf("listed are %q, want %q", listed, ids)
			}
		}
		if printed := w.run(t, "session", "list", "--subject", "user-123"); !strings.Contains(printed, ids[0]) || !strings.Contains(printed, ids[1]) || !strings.Contains(printed, ids[2]) {
			t.Errorf("session list prints\n%s", printed)
		}
		body := w.AdminCall(t, "GET", "/v1/sessions?subject=user-123", "").Body
		for _, secret := range []string{logins[0].Access, logins[0].Refresh, logins[1].Refresh} {
			if strings.Contains(body, secret) {
				t.Error("a token is listed")
			}
		}

		if a := w.AdminCall(t, "DELETE", "/v1/sessions/"+ids[0], ""); a.Status/100 != 2 {
			t.Fatalf("ending a session: %d %s", a.Status, a.Body)
		}
		w.run(t, "session", "revoke", ids[1])
		for _, got := range logins[:2] {
			w.dead(t, got.Access)
			refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
		}
		w.alive(t, logins[2].Access)
		if listed := w.sessions(t, "user-123"); len(listed) != 1 || listed[0] != ids[2] {
			t.Errorf("left are %q, want %q", listed, ids[2])
		}
		granted(t, w.refresh(t, logins[2].Refresh))
		for path, status := range map[string]int{"/v1/sessions": 400, "/v1/sessions?subject=": 400, "/v1/sessions?subject=nobody": 200} {
			if a := w.AdminCall(t, "GET", path, ""); a.Status != status {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
		}
		if a := w.AdminRaw(t, rig.Get("/v1/sessions?subject=user-123")); a.Status != 401 {
			t.Errorf("without the admin token: %d", a.Status)
		}
	})
}

// Log out everywhere, and a password that was changed: by subject, up to a time.
func TestLogoutEverywhere(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url)
		var before []tokens
		for range 2 {
			before = append(before, w.login(t))
		}
		before = append(before, granted(t, w.post(t, "/auth/jwt/login", jane)))
		bystander := granted(t, w.post(t, tokenPath, "grant_type=password&username=bob&password=staple+battery&client_id=spa"))
		w.run(t, "token", "revoke", "--subject", "user-123")
		for _, got := range before {
			w.dead(t, got.Access)
		}
		refused(t, w.refresh(t, before[0].Refresh), 400, "invalid_grant")
		if a := w.post(t, "/auth/jwt/refresh", "", "refresh-token: "+before[2].Refresh); a.Status != 401 {
			t.Errorf("a refresh: %d %s", a.Status, a.Body)
		}
		if listed := w.sessions(t, "user-123"); len(listed) != 0 {
			t.Errorf("left are %q", listed)
		}
		w.alive(t, bystander.Access)
		granted(t, w.refresh(t, bystander.Refresh))

		nextSecond() // the second of the revocation is included
		after := w.login(t)
		w.alive(t, after.Access)
		changed := time.Now()
		nextSecond()
		later := w.login(t)
		w.revoke(t, fmt.Sprintf(`{"kind":"sub","id":"user-123","before":%q}`, changed.UTC().Format(time.RFC3339)))
		w.dead(t, after.Access)
		refused(t, w.refresh(t, after.Refresh), 400, "invalid_grant")
		w.alive(t, later.Access)
		granted(t, w.refresh(t, later.Refresh))
	})
}

// nextSecond waits until the clock shows another second.
func nextSecond() {
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second + time.Millisecond)))
}

// A client's revocation is one of its refresh tokens too.
func TestClientRevoked(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url)
		got, other := w.login(t), granted(t, w.post(t, tokenPath, jane+"&client_id=other"))
		w.revoke(t, `{"kind":"client","id":"spa"}`)
		w.dead(t, got.Access)
		refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
		w.alive(t, other.Access)
		granted(t, w.post(t, tokenPath, "grant_type=refresh_token&client_id=other&refresh_token="+other.Refresh))
	})
}
