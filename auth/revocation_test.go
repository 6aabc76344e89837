package auth

import (
	"fmt"
	"testing"
	"time"
)

func TestRevocationKinds(t *testing.T) {
	begun := now.Add(-60 * time.Second) // iat
	for _, c := range []struct {
		r    Revocation
		want Reason
	}{
		{Revocation{Kind: KindToken, Issuer: "main", ID: "t1"}, TokenRevoked},
		{Revocation{Kind: KindToken, Issuer: "other", ID: "t1"}, OK},
		{Revocation{Kind: KindToken, Issuer: "main", ID: "t2"}, OK},
		{Revocation{Kind: KindToken, Issuer: "main", ID: "s1"}, TokenRevoked}, // the token that began the session
		{Revocation{Kind: KindSession, Issuer: "main", ID: "s1"}, TokenRevoked},
		{Revocation{Kind: KindSession, Issuer: "main", ID: "t1"}, OK},
		{Revocation{Kind: KindSession, ID: "s1"}, OK},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1"}, TokenRevoked},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: begun}, TokenRevoked},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: begun.Add(-time.Second)}, OK},
		{Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: begun.Add(999 * time.Millisecond)}, TokenRevoked},
		{Revocation{Kind: KindClient, Issuer: "main", ID: "c1"}, TokenRevoked},
		{Revocation{Kind: KindClient, Issuer: "main", ID: "c1", Before: begun.Add(-time.Second)}, OK},
		{Revocation{Kind: KindIssuer, ID: "main"}, TokenRevoked},
		{Revocation{Kind: KindIssuer, ID: "main", Before: begun.Add(-time.Second)}, OK},
		{Revocation{Kind: KindIssuer, ID: "other"}, OK},
		{Revocation{Kind: KindAPIKey, ID: "web"}, APIKeyInvalid},
		{Revocation{Kind: KindAPIKey, ID: "other"}, OK},
		{Revocation{Kind: KindToken, Issuer: "main", ID: "t1", Until: now}, OK},
	} {
		f := newFixture(t, "HS256")
		f.policy.Mode = Both
		for _, client := range []string{"client_id", "azp"} {
			creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.token(map[string]any{"sid": "s1", client: "c1"})), "Api-Key")
			f.list.entries = nil
			before := f.gate.Decide(f.policy, creds, now)
			f.list.add(c.r)
			after := f.gate.Decide(f.policy, creds, now)
			if before.Reason != OK || after.Reason != c.want {
				t.Errorf("%s %q before %s: %s then %s, want %s", c.r.Kind, c.r.ID, c.r.Before, before.Reason, after.Reason, c.want)
			}
			live := f.gate.Recheck(before.Principal, now)
			if live != c.want {
				t.Errorf("%s %q: a live connection: %s, want %s", c.r.Kind, c.r.ID, live, c.want)
			}
		}
	}
}

// An entry without an id covers nobody, as the tokens without that claim.
func TestRevocationOfNothing(t *testing.T) {
	f := newFixture(t, "HS256")
	f.list.add(Revocation{Kind: KindClient, Issuer: "main"})
	f.want(f.token(nil), OK)
}

// A sid that is some other token's jti means nothing where no renewal names
// sessions after tokens.
func TestSessionsOfForeignNames(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Renew = nil
	f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: "s1"})
	f.want(f.token(map[string]any{"sid": "s1"}), OK)
}

func TestRevocationComparesAuthTime(t *testing.T) {
	f := newFixture(t, "HS256")
	f.list.add(Revocation{Kind: KindSubject, Issuer: "main", ID: "u1", Before: now.Add(-time.Hour)})
	f.want(f.token(nil), OK)
	f.want(f.token(map[string]any{"auth_time": now.Unix() - 3600}), TokenRevoked)
	f.want(f.token(map[string]any{"auth_time": now.Unix() - 3599}), OK)
	f.want(f.token(map[string]any{"iat": nil}), TokenRevoked) // no one knows when it began
}

func TestR18KeysCannotCollide(t *testing.T) {
	seen := map[RevocationKey]string{}
	for _, kind := range Kinds() {
		for _, pair := range [][2]string{{"a", "b"}, {"ab", ""}, {"", "ab"}, {"a:b", ""}, {"a", "b\x00"}, {"a\x00\x00\x00\x01b", ""}} {
			key, name := NewRevocationKey(kind, pair[0], pair[1]), fmt.Sprint(kind, pair)
			if other, dup := seen[key]; dup {
				t.Errorf("%s and %s have one key", name, other)
			}
			seen[key] = name
		}
	}
}

func TestSecondsOfRevocations(t *testing.T) {
	at := time.Unix(100, 0)
	for _, c := range []struct {
		r             Revocation
		before, until uint32
	}{
		{Revocation{Kind: KindSubject, Before: at, Until: at}, 100, 100},
		{Revocation{Kind: KindSubject, Before: at.Add(time.Nanosecond), Until: at.Add(time.Nanosecond)}, 100, 101},
		{Revocation{Kind: KindSubject, Until: at}, Always, 100},
		{Revocation{Kind: KindToken, Before: at, Until: at}, 100, 100},
		{Revocation{Kind: KindSubject, Before: time.Unix(-5, 0), Until: time.Unix(1<<40, 0)}, 0, Always - 1},
	} {
		if b, u := c.r.BeforeSeconds(), c.r.UntilSeconds(); b != c.before || u != c.until {
			t.Errorf("%+v: %d %d", c.r, b, u)
		}
	}
}
