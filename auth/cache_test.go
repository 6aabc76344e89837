package auth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func (f *fixture) buildWithoutCache() {
	f.t.Helper()
	var err error
	f.gate, err = NewGate(GateConfig{APIKeys: f.gate.apiKeys, Issuers: []*Issuer{f.issuer}, Revocations: f.list})
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestTokensAreRemembered(t *testing.T) {
	for _, kid := range []string{"k1", ""} {
		f := newFixture(t, "HS256")
		f.key = keyFor(t, kid, "HS256")
		f.issuer.Keys = NewStaticKeys([]*Key{f.key})
		token := f.token(nil)
		if _, steps := f.gate.Explain(t.Context(), f.policy, bearer(token), now); len(steps) == 0 || f.gate.tokens.EstimatedSize() != 0 {
			t.Errorf("kid %q: explaining remembers the token", kid)
		}
		first, again := f.decide(token), f.decide(token)
		if first.Reason != OK || first.Principal.Token.verified != again.Principal.Token.verified {
			t.Errorf("kid %q: the token was verified twice", kid)
		}
		_, steps := f.gate.Explain(t.Context(), f.policy, bearer(token), now)
		if len(steps) < 2 || steps[1].Check != "token form" {
			t.Errorf("kid %q: a remembered token is not explained: %+v", kid, steps)
		}
		f.buildWithoutCache()
		if f.want(token, OK).Principal.Token.verified == f.decide(token).Principal.Token.verified {
			t.Errorf("kid %q: remembered without a cache", kid)
		}
	}
}

// What is remembered of a token that was refused since shows no identity.
func TestR20RememberedTokenThatExpired(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Both
	f.issuer.Renew.After = 0
	creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.token(nil)), "Api-Key")
	if d := f.gate.Decide(f.policy, creds, now); d.Reason != OK || !d.RenewalDue {
		t.Fatalf("%s, due %t", d.Reason, d.RenewalDue)
	}
	d := f.gate.Decide(f.policy, creds, now.Add(2*time.Hour))
	if d.Reason != TokenExpired || d.Principal.Token != nil || d.Headers != nil || d.RenewalDue {
		t.Errorf("expired: %s, %+v", d.Reason, d)
	}
	f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: "t1"})
	if d := f.gate.Decide(f.policy, creds, now); d.Reason != TokenRevoked || d.Headers != nil || d.RenewalDue {
		t.Errorf("revoked: %s, headers %q, due %t", d.Reason, headersOf(d), d.RenewalDue)
	}
}

func TestRememberedTokensAreBounded(t *testing.T) {
	f := newFixture(t, "HS256")
	const bound = 64 << 10
	var err error
	f.gate, err = NewGate(GateConfig{APIKeys: f.gate.apiKeys, Revocations: f.list, CacheBytes: bound})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		f.decide(f.token(map[string]any{"jti": fmt.Sprint(i)}))
	}
	// A token of 300 bytes with its claims takes no less than a KiB.
	if n := f.gate.tokens.EstimatedSize(); n == 0 || n > bound>>10 {
		t.Errorf("%d tokens are remembered in %d bytes", n, bound)
	}
	// And one with large claims more, as they may be sent as headers.
	large := f.want(f.token(map[string]any{"x": strings.Repeat("x", 1000)}), OK).Principal.Token
	if small := f.want(f.token(nil), OK).Principal.Token; weigh(fingerprint{}, large.verified) < weigh(fingerprint{}, small.verified)+1000 {
		t.Error("claims have no weight")
	}
}

// The Token that requests share is replaced when its key was, so that it is
// still renewed once.
func TestRememberedTokenOfAReplacedKey(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(nil)
	old := f.decide(token).Principal.Token.verified
	f.issuer.Keys = NewStaticKeys([]*Key{keyFor(t, "k1", "HS256")}) // the same secret, read again
	first, again := f.decide(token), f.decide(token)
	if first.Reason != OK || first.Principal.Token.verified == old || first.Principal.Token.verified != again.Principal.Token.verified {
		t.Errorf("%s, old %t, shared %t", first.Reason, first.Principal.Token.verified == old, first.Principal.Token == again.Principal.Token)
	}
	if r := f.gate.Recheck(first.Principal, now); r != OK {
		t.Errorf("recheck: %s", r)
	}
}

// J29: two issuers with one `iss` and one key, such as two audiences of one
// identity provider, do not take over each other's tokens.
func TestJ29RememberedForAnotherIssuer(t *testing.T) {
	f := newFixture(t, "HS256")
	twin := *f.issuer
	twin.Name, twin.MaxTokenLife = "twin", time.Hour
	first, second := *f.policy, *f.policy
	second.Issuers = []*Issuer{&twin}
	token := f.token(nil)
	for range 2 {
		for _, p := range []*Policy{&first, &second} {
			d := f.gate.Decide(p, bearer(token), now)
			if d.Reason != OK || d.Principal.Token.Issuer() != p.Issuers[0] {
				t.Fatalf("issuer %s: %s, token of %+v", p.Issuers[0].Name, d.Reason, d.Principal.Token)
			}
			if again := f.gate.Decide(p, bearer(token), now); again.Principal.Token.verified != d.Principal.Token.verified {
				t.Errorf("issuer %s: verified twice", p.Issuers[0].Name)
			}
		}
	}
}

func TestRemovedKeyTakesItsTokensAlong(t *testing.T) {
	for _, kid := range []string{"k1", ""} {
		f := newFixture(t, "HS256")
		f.key = keyFor(t, kid, "HS256")
		f.issuer.Keys = NewStaticKeys([]*Key{f.key})
		token := f.token(nil)
		d := f.want(token, OK)
		f.issuer.Keys = NewStaticKeys(nil)
		f.want(token, TokenUntrusted)
		if r := f.gate.Recheck(d.Principal, now); r != TokenUntrusted {
			t.Errorf("recheck after the key left: %s", r)
		}
		f.issuer.Keys = NewStaticKeys([]*Key{keyFor(t, kid, "HS256")}) // the same secret, another key
		f.want(token, OK)
	}
}
