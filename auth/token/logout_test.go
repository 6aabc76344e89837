package token

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// renew slides a token, as a route with renewal does.
func (f *fixture) renew(token string) string {
	f.t.Helper()
	p := &auth.Policy{Mode: auth.BearerOnly, Issuers: []*auth.Issuer{f.issuer}, Renew: true}
	renewed, result, err := f.cfg.Gate.Renew(f.cfg.Gate.Decide(p, auth.BearerCredentials(token), f.clock), f.clock)
	renewed = strings.TrimPrefix(renewed, auth.BearerScheme)
	if err != nil || renewed == "" {
		f.t.Fatal(result, err)
	}
	return renewed
}

func TestR07LogoutEndsAllOfTheSession(t *testing.T) {
	f := newFixture(t)
	first := f.login(with("web", ""))
	other := f.login(with("web", ""))
	f.wait(time.Minute)
	slid := f.renew(first.AccessToken)
	second := f.refreshed(with("web", ""), first.RefreshToken)
	third := f.exchanged(second.AccessToken)
	again := f.renew(slid)
	f.wait(time.Minute)
	ended, err := f.Logout(ctx, Logout{bearer(first.AccessToken)})
	if err != nil || ended.ID() != first.TokenID || ended.Subject() != "u1" {
		t.Fatal(ended, err)
	}
	for name, token := range map[string]string{"presented": first.AccessToken, "slid": slid, "slid twice": again, "refreshed": second.AccessToken, "exchanged": third.AccessToken} {
		if r := f.state(token); r != auth.TokenRevoked {
			t.Errorf("the %s one is %s", name, r)
		}
	}
	g, err := f.refresh(with("web", ""), second.RefreshToken)
	wantNothing(t, "its refresh token", g, err, auth.GrantInvalid)
	if f.store.sessions[first.SessionID] != nil {
		t.Error("the session is still kept")
	}
	if f.state(other.AccessToken) != auth.OK {
		t.Error("another session of the user has ended")
	}
	lines := f.logged("session ended: logout")
	if len(lines) != 1 || lines[0]["sid"] != first.SessionID || lines[0]["sub"] != "u1" || lines[0]["client_id"] != "web" || lines[0]["level"] != "INFO" {
		t.Errorf("%v", lines)
	}
	_, err = f.Logout(ctx, Logout{bearer(first.AccessToken)})
	want(t, "logout again", err, auth.TokenRevoked)
}

func TestR07LogoutWithADescendant(t *testing.T) {
	f := newFixture(t)
	first := f.login(from("192.0.2.1"))
	slid := f.renew(first.AccessToken)
	if _, err := f.Logout(ctx, Logout{bearer(slid)}); err != nil || f.state(first.AccessToken) != auth.TokenRevoked {
		t.Errorf("%v, the older token is %s", err, f.state(first.AccessToken))
	}
	// A token of another service, which has no sid, is a session by itself.
	foreign := f.mint(nil)
	slid = f.renew(foreign)
	f.store.calls = nil
	if _, err := f.Logout(ctx, Logout{bearer(slid)}); err != nil || f.state(foreign) != auth.TokenRevoked || f.state(slid) != auth.TokenRevoked {
		t.Errorf("%v, %s %s", err, f.state(foreign), f.state(slid))
	}
	if len(f.store.calls) != 1 { // Revoke: there is no such session in the store
		t.Errorf("calls %v", f.store.calls)
	}
}

// The entry is kept for as long as the session could have gone on.
func TestLogoutIsRememberedAsLongAsTheSession(t *testing.T) {
	f := newFixture(t)
	g := f.login(from("192.0.2.1"))
	if _, err := f.Logout(ctx, Logout{bearer(g.AccessToken)}); err != nil {
		t.Fatal(err)
	}
	for _, e := range f.list.entries {
		if e.Kind != auth.KindSession || e.ID != g.SessionID || !e.Before.IsZero() || e.Until.Before(f.clock.Add(720*time.Hour)) {
			t.Errorf("%+v", e)
		}
	}
}

func TestLogoutIsRefused(t *testing.T) {
	f := newFixture(t)
	g := f.login(from("192.0.2.1"))
	_, err := f.Logout(ctx, Logout{from("192.0.2.1")})
	want(t, "no token", err, auth.TokenMissing)
	_, err = f.Logout(ctx, Logout{bearer(g.RefreshToken)})
	want(t, "J18: a refresh token", err, auth.TokenMalformed)
	f.list.stale = true
	_, err = f.Logout(ctx, Logout{bearer(g.AccessToken)})
	want(t, "a list that is too old", err, auth.RevocationStale)
	f.list.stale = false
	f.wait(2 * time.Hour)
	_, err = f.Logout(ctx, Logout{bearer(g.AccessToken)})
	want(t, "expired", err, auth.TokenExpired)
	if f.store.sessions[g.SessionID] == nil || len(f.list.entries) != 0 {
		t.Error("the session was ended")
	}
}

func TestR11NothingIsSaidToBeRevokedThatIsNot(t *testing.T) {
	for _, failing := range []string{"Revoke", "EndSession"} {
		f := newFixture(t)
		g := f.login(with("web", ""))
		f.store.failing[failing] = errors.New("down")
		want(t, failing+": revoke refresh token", f.Revoke(ctx, Revocation{Request: with("web", ""), Token: g.RefreshToken}), auth.StoreUnavailable)
		f.list.entries = map[auth.RevocationKey]auth.Revocation{}
		want(t, failing+": revoke access token", f.Revoke(ctx, Revocation{Request: with("web", ""), Token: g.AccessToken}), auth.StoreUnavailable)
		f.list.entries = map[auth.RevocationKey]auth.Revocation{}
		_, err := f.Logout(ctx, Logout{bearer(g.AccessToken)})
		want(t, failing+": logout", err, auth.StoreUnavailable)
		if failing == "Revoke" {
			if f.store.sessions[g.SessionID] == nil {
				t.Error("the session is forgotten while its tokens live")
			}
			got, err := f.exchange(g.AccessToken)
			wantNothing(t, "exchange", got, err, auth.StoreUnavailable)
			if f.state(g.AccessToken) != auth.OK {
				t.Error("the token died without a successor")
			}
		}
		if len(f.logged("session ended: logout")) != 0 {
			t.Error("the log says that the session has ended")
		}
	}
}
