package token

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
)

// try fails to log in and returns why.
func (f *fixture) try(address, username string) error {
	f.t.Helper()
	_, err := f.Password(ctx, PasswordGrant{Request: from(address), Username: username, Password: "wrong"})
	return err
}

func TestA03LoginLimits(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		want(t, "below the account's limit", f.try("192.0.2.1", "jane@example.com"), auth.CredentialsInvalid)
	}
	hashed := len(f.users.logins)
	f.wait(time.Minute)
	g, err := f.Password(ctx, PasswordGrant{Request: from("192.0.2.1"), Username: "jane@example.com", Password: password})
	wantNothing(t, "past the account's limit, with the right password", g, err, auth.RateLimited)
	if e := err.(*Error); e.RetryAfter != 4*time.Minute {
		t.Errorf("retry after %s", e.RetryAfter)
	}
	if len(f.users.logins) != hashed {
		t.Error("a password was hashed past the limit")
	}
	if lines := f.logged("login limit reached"); len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["address"] != "192.0.2.1" {
		t.Errorf("%v", lines)
	}
	for _, name := range []string{"a", "b", "c"} {
		want(t, "below the address's limit", f.try("192.0.2.1", name), auth.CredentialsInvalid)
	}
	want(t, "past the address's limit", f.try("192.0.2.1", "d"), auth.RateLimited)
	f.wait(5 * time.Minute)
	f.login(from("192.0.2.1"))
}

func TestA03GoodLoginsDoNotCount(t *testing.T) {
	f := newFixture(t)
	for range 20 {
		f.login(from("192.0.2.1"))
	}
	f.store.failing["Return"] = errors.New("down")
	f.login(from("192.0.2.1"))
	if len(f.logged("a login still counts as a failed one")) != 1 {
		t.Error("nothing was logged")
	}
}

// Who hangs up before the answer has had the guess all the same.
func TestA03HangingUpCounts(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		hung, hangUp := context.WithCancel(ctx)
		hangUp()
		f.users.err = context.Canceled
		_, err := f.Password(hung, PasswordGrant{Request: from("192.0.2.1"), Username: "jane@example.com", Password: "wrong"})
		want(t, "hung up", err, auth.ClientClosed)
	}
	f.users.err = nil
	want(t, "the next", f.try("192.0.2.1", "jane@example.com"), auth.RateLimited)
}

// A good login is none of the failed ones, though nobody waits for its answer.
func TestA03HangingUpOnAGoodLogin(t *testing.T) {
	f := newFixture(t)
	for range 6 {
		hung, hangUp := context.WithCancel(ctx)
		hangUp()
		_, _ = f.Password(hung, PasswordGrant{Request: from("192.0.2.1"), Username: "jane@example.com", Password: password})
	}
	want(t, "a wrong password", f.try("192.0.2.1", "jane@example.com"), auth.CredentialsInvalid)
}

func TestA03TheStoreIsDown(t *testing.T) {
	f := newFixture(t)
	f.store.failing["Take"] = errors.New("down")
	want(t, "login", f.try("192.0.2.1", "jane@example.com"), auth.StoreUnavailable)
	if len(f.users.logins) != 0 || f.log.Len() != 0 {
		t.Errorf("the login went on: %q %s", f.users.logins, f.log)
	}
}

func TestA03NoLimits(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.PerAccount.Max, c.PerAddress.Max = 0, 0 })
	f.store.failing["Take"], f.store.failing["Return"] = errors.New("down"), errors.New("down")
	f.login(from("192.0.2.1"))
	if f.log.Len() > 0 && len(f.logged("login")) != strings.Count(f.log.String(), "\n") {
		t.Errorf("%s", f.log)
	}
}

func TestA04SpellingsShareALimit(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"jane@example.com", "JANE@example.com", "ｊａｎｅ@example.com"} {
		want(t, name, f.try("192.0.2.1", name), auth.CredentialsInvalid)
	}
	want(t, "the fourth spelling", f.try("192.0.2.1", "Jane@Example.Com"), auth.RateLimited)
	// What can be no name has one limit, whatever it is.
	f = newFixture(t)
	for _, name := range []string{"a b", "c d", "\xff"} {
		want(t, name, f.try("192.0.2.1", name), auth.CredentialsInvalid)
	}
	want(t, "no name", f.try("192.0.2.1", "e f"), auth.RateLimited)
}

func TestA05OthersAreNotLockedOut(t *testing.T) {
	f := newFixture(t)
	for range 4 {
		_ = f.try("198.51.100.66", "jane@example.com")
	}
	want(t, "the attacker", f.try("198.51.100.66", "jane@example.com"), auth.RateLimited)
	f.login(from("192.0.2.1"))
	f.login(from("198.51.100.67"))
}

func TestA04Networks(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1/32",
		"::ffff:192.0.2.1":      "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":  "2001:db8:1:2::/64",
		"2001:db8:1:2::":        "2001:db8:1:2::/64",
		"2001:db8:1:3::":        "2001:db8:1:3::/64",
		"fe80::1%eth0":          "fe80::/64",
		"not an address at all": "invalid Prefix",
	} {
		a, _ := netip.ParseAddr(address)
		if got := network(a); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

func TestLimitKeysTellNothing(t *testing.T) {
	f := newFixture(t)
	a := netip.MustParseAddr("192.0.2.1")
	all := f.limits("jane", a)
	if len(all) != 2 || all[0].Max != 3 || all[1].Max != 6 || all[0].Window != 5*time.Minute {
		t.Fatalf("%+v", all)
	}
	keys := map[string]bool{}
	for _, l := range append(append(all, f.limits("joe", a)...), f.limits("jane", netip.Addr{})...) {
		keys[l.Key] = true
		if len(l.Key) != 64 || strings.Trim(l.Key, "0123456789abcdef") != "" {
			t.Errorf("key %q", l.Key)
		}
	}
	if len(keys) != 5 { // joe shares jane's address
		t.Errorf("%d keys: %v", len(keys), keys)
	}
	if digest("a", "bc") == digest("ab", "c") {
		t.Error("parts run into each other")
	}
}
