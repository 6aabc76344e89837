package auth

import (
	"crypto/rsa"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	stranger = netip.MustParseAddr("192.0.2.1")
	customer = netip.MustParseAddr("192.0.2.2")
)

func (f *fixture) from(client netip.Addr, token string, at time.Time) Reason {
	return f.gate.Decide(f.policy, bearer(token).WithClient(client), at).Reason
}

// forge changes a signature so that it keeps its form.
func forge(token string) string {
	at := strings.LastIndexByte(token, '.') + 5
	flip := "A"
	if token[at] == 'A' {
		flip = "B"
	}
	return token[:at] + flip + token[at+1:]
}

// counting is a signing method that counts what it is asked.
type counting struct {
	jwt.SigningMethod
	verified int
}

func (c *counting) Verify(input string, signature []byte, key any) error {
	c.verified++
	return c.SigningMethod.Verify(input, signature, key)
}

// TestJ26CostlyForgeries: a client may have so many costly signatures checked for
// nothing, and other clients, and what is remembered, feel nothing of it.
func TestJ26CostlyForgeries(t *testing.T) {
	f := newFixture(t, "ES384")
	count := &counting{SigningMethod: f.key.method}
	f.key.method = count
	known, unknown := f.token(nil), f.token(map[string]any{"jti": "t2"})
	if r := f.from(stranger, known, now); r != OK {
		t.Fatal(r)
	}
	count.verified = 0
	for i := range 2 * strainBurst {
		want := TokenUntrusted
		if i >= strainBurst {
			want = RateLimited
		}
		if r := f.from(stranger, forge(known), now); r != want {
			t.Fatalf("forgery %d: %s, want %s", i, r, want)
		}
	}
	if count.verified != strainBurst {
		t.Errorf("%d signatures are checked, want %d", count.verified, strainBurst)
	}
	for _, c := range []struct {
		what   string
		client netip.Addr
		token  string
		want   Reason
	}{
		{"a remembered token", stranger, known, OK},
		{"a new token", stranger, unknown, RateLimited},
		{"a token of no key", stranger, f.raw(`{"alg":"ES384","kid":"k2"}`, f.payload("")), TokenUntrusted},
		{"another client's forgery", customer, forge(known), TokenUntrusted},
		{"another client's new token", customer, f.token(map[string]any{"jti": "t3"}), OK},
	} {
		if r := f.from(c.client, c.token, now); r != c.want {
			t.Errorf("%s: %s, want %s", c.what, r, c.want)
		}
	}
	if d, _ := f.gate.Explain(t.Context(), f.policy, bearer(unknown).WithClient(stranger), now); d.Reason != OK {
		t.Errorf("explaining is not for strangers: %s", d.Reason)
	}

	later := now.Add(time.Second)
	for i := range strainRate {
		if r := f.from(stranger, forge(known), later); r != TokenUntrusted {
			t.Fatalf("forgery %d of the next second: %s", i, r)
		}
	}
	if r := f.from(stranger, unknown, later); r != RateLimited {
		t.Errorf("the next second's last: %s", r)
	}
	much := now.Add(time.Hour)
	for i := range strainBurst {
		if r := f.from(stranger, forge(known), much); r != TokenUntrusted {
			t.Fatalf("forgery %d after an hour: %s", i, r)
		}
	}
	if r := f.from(stranger, unknown, much); r != RateLimited {
		t.Errorf("patience grows without end: %s", r)
	}
}

// What a key signed, and is refused for what it says, was checked for nothing as
// well; not so what has expired, which clients present until they have another: it
// is remembered.
func TestJ26CostlyRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		changes map[string]any
		want    Reason
		limited bool
	}{
		"audience":                 {map[string]any{"aud": "others"}, TokenAudience, true},
		"claims":                   {map[string]any{"sub": nil}, TokenClaims, true},
		"early":                    {map[string]any{"nbf": now.Unix() + 3600}, TokenNotYetValid, true},
		"expired":                  {map[string]any{"exp": now.Unix() - 11}, TokenExpired, false},
		"expired, for others":      {map[string]any{"exp": now.Unix() - 11, "aud": "others"}, TokenExpired, true},
		"expired, without a claim": {map[string]any{"exp": now.Unix() - 11, "sub": nil}, TokenExpired, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "ES384")
			count := &counting{SigningMethod: f.key.method}
			f.key.method = count
			token := f.token(c.changes)
			for range strainBurst {
				if r := f.from(stranger, token, now); r != c.want {
					t.Fatal(r)
				}
			}
			if want := map[bool]int{true: strainBurst, false: 1}[c.limited]; count.verified != want {
				t.Errorf("%d signatures are checked, want %d", count.verified, want)
			}
			if r := f.from(stranger, f.token(nil), now); (r == RateLimited) != c.limited {
				t.Errorf("a new token: %s", r)
			}
		})
	}
	f := newFixture(t, "ES384")
	f.buildWithoutCache()
	expired := f.token(map[string]any{"exp": now.Unix() - 11})
	for range 2 * strainBurst {
		if r := f.from(stranger, expired, now); r != TokenExpired {
			t.Fatalf("without a cache: %s", r)
		}
	}
}

// A token that has expired is remembered as its key's, and nothing else: not as
// good, not for another route's issuers, not when the key is gone.
func TestJ21ExpiredTokenIsRemembered(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(map[string]any{"exp": now.Unix() - 11})
	for range 2 {
		if d := f.decide(token); d.Reason != TokenExpired || d.Principal.Token != nil || d.Headers != nil || d.RenewalDue {
			t.Errorf("%+v", d)
		}
	}
	if n := f.gate.tokens.EstimatedSize(); n != 1 {
		t.Fatalf("%d tokens are remembered", n)
	}
	other := *f.issuer
	other.Name, other.Keys = "other", NewStaticKeys([]*Key{keyFor(t, "k1", "ES256")})
	f.policy.Issuers = []*Issuer{&other}
	f.want(token, TokenUntrusted)
	f.policy.Issuers = []*Issuer{f.issuer}
	f.issuer.Keys = NewStaticKeys([]*Key{keyFor(t, "k2", "HS256")})
	f.want(token, TokenUntrusted)
}

// Several keys that fit a token without kid are as many signatures.
func TestJ26CostlyTries(t *testing.T) {
	f := newFixture(t, "ES512")
	public := f.key.Public()
	var keys []*Key
	for range maxTries {
		k, err := NewVerificationKey("", "ES512", public)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	forged := forge(f.raw(`{"alg":"ES512"}`, f.payload("")))
	f.issuer.Keys = NewStaticKeys(keys)
	for i := range strainBurst/maxTries + 1 {
		want := TokenUntrusted
		if i == strainBurst/maxTries {
			want = RateLimited
		}
		if r := f.from(stranger, forged, now); r != want {
			t.Fatalf("forgery %d: %s, want %s", i, r, want)
		}
	}
}

func TestCostlyKeys(t *testing.T) {
	long := func(bits int) *rsa.PublicKey {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
	}
	for _, alg := range allAlgorithms {
		key := keyFor(t, "k1", alg)
		if want := alg == "ES384" || alg == "ES512"; key.costly != want {
			t.Errorf("%s: costly %t", alg, key.costly)
		}
	}
	for bits, want := range map[int]bool{4096: false, 4097: true, 8192: true} {
		k, err := NewVerificationKey("", "RS256", long(bits))
		if err != nil {
			t.Fatal(err)
		}
		if k.costly != want {
			t.Errorf("RSA with %d bits: costly %t", bits, k.costly)
		}
	}
}

func TestStrainByClient(t *testing.T) {
	s := newStrain()
	// Two clients can share a slot: another seed parts them.
	same := func(a, b string) bool {
		for range 3 {
			if s = newStrain(); s.of(netip.MustParseAddr(a)) != s.of(netip.MustParseAddr(b)) {
				return false
			}
		}
		return true
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::2:3:4:5", true},
		{"2001:db8::1%eth0", "2001:db8::1", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
	} {
		if got := same(c.a, c.b); got != c.same {
			t.Errorf("%s and %s are one client: %t", c.a, c.b, got)
		}
	}
	if s.tooMuch(netip.Addr{}, now) {
		t.Error("a client without address, at first")
	}
	s.add(netip.Addr{}, strainBurst, now)
	if !s.tooMuch(netip.Addr{}, now) {
		t.Error("a client without address may do as it likes")
	}
}

func BenchmarkStrain(b *testing.B) {
	s := newStrain()
	for b.Loop() {
		s.tooMuch(stranger, now)
	}
}
