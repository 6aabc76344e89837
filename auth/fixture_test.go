package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"
)

// now is the moment of every test that does not say otherwise.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var secret = []byte("Zq3t6w9z$C&F)J@NcRfUjXn2r5u8x/A%")

// asymmetric keys are made once: RSA keys take a while.
var asymmetric = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	keys := map[string]crypto.Signer{
		"ES256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ES384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"ES512": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"EdDSA": must(ed, err),
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		keys[alg] = rsaKey
	}
	return keys
})

// keyFor makes a key that signs with the algorithm.
func keyFor(t testing.TB, kid, alg string) *Key {
	t.Helper()
	if strings.HasPrefix(alg, "HS") {
		k, err := NewSecretKey(kid, alg, append(append([]byte{}, secret...), secret...))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k, err := NewSigningKey(kid, alg, asymmetric()[alg])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *Key) verifySignature(input string, signature []byte) bool {
	return (&signed{input: input, signature: signature}).by(k)
}

// list is a revocation list for tests.
type list struct {
	entries map[RevocationKey]Revocation
	unsure  map[RevocationKey]bool // what only the store knows
	asked   []Revocation           // of the store
	err     error                  // of the store
	stale   bool
}

func (l *list) add(r Revocation) {
	if l.entries == nil {
		l.entries = map[RevocationKey]Revocation{}
	}
	if r.Until.IsZero() {
		r.Until = now.Add(1000 * time.Hour)
	}
	l.entries[r.Key()] = r
}

func (l *list) Covers(_ Kind, key RevocationKey, begun, unix int64) Coverage {
	if l.unsure[key] {
		return Unsure
	}
	r, ok := l.entries[key]
	return coverage(ok && begun <= int64(r.BeforeSeconds()) && unix < int64(r.UntilSeconds()))
}

func (l *list) Confirm(_ context.Context, r Revocation, begun, unix int64) (Coverage, error) {
	l.asked = append(l.asked, r)
	if l.err != nil {
		return Unsure, l.err
	}
	sure := list{entries: l.entries}
	return sure.Covers(r.Kind, r.Key(), begun, unix), nil
}

func coverage(covered bool) Coverage {
	if covered {
		return Covered
	}
	return NotCovered
}

func (l *list) Stale(time.Time) bool { return l.stale }

// fixture is a gate with one issuer and a policy that asks for its tokens.
type fixture struct {
	t      testing.TB
	key    *Key
	issuer *Issuer
	list   *list
	gate   *Gate
	policy *Policy
}

func newFixture(t testing.TB, alg string) *fixture {
	t.Helper()
	f := &fixture{t: t, key: keyFor(t, "k1", alg), list: &list{}}
	f.issuer = &Issuer{
		Name: "main", Issuer: "https://auth.example.com", Audiences: []string{"api", "api2"},
		Keys: NewStaticKeys([]*Key{f.key}), Leeway: 10 * time.Second, MaxTokenBytes: 4 << 10,
		MaxTokenLife: 24 * time.Hour, SubjectClaim: "sub", Required: []string{"sub"},
		Renew: &RenewPolicy{After: 0.5, MaxSession: 12 * time.Hour},
	}
	f.policy = &Policy{Route: "orders", Mode: BearerOnly, Issuers: []*Issuer{f.issuer}, Renew: true, Forward: &Forward{
		Claims:       []ClaimHeader{{Claim: "sub", Header: "X-User-Id"}},
		APIKeyHeader: "X-Client-Id",
	}}
	f.build()
	return f
}

func (f *fixture) build() {
	f.t.Helper()
	keys := NewAPIKeys([]APIKey{
		{ID: "web", SHA256: sha256.Sum256([]byte("web-key"))},
		{ID: "old", SHA256: sha256.Sum256([]byte("old-key")), NotAfter: now},
		{ID: "other", SHA256: sha256.Sum256([]byte("other-key")), Routes: []string{"invoices"}},
	}, nil)
	var err error
	f.gate, err = NewGate(GateConfig{APIKeys: keys, Issuers: []*Issuer{f.issuer}, Revocations: f.list, CacheBytes: 1 << 20})
	if err != nil {
		f.t.Fatal(err)
	}
}

// claims are those of a good token.
func (f *fixture) claims() map[string]any {
	return map[string]any{
		"iss": f.issuer.Issuer, "sub": "u1", "aud": "api", "jti": "t1",
		"iat": now.Unix() - 60, "exp": now.Unix() + 3540,
	}
}

// token signs the claims of a good token with changes; nil takes a claim out.
func (f *fixture) token(changes map[string]any) string {
	f.t.Helper()
	claims := f.claims()
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	compact, err := Sign(f.key, "JWT", claims)
	if err != nil {
		f.t.Fatal(err)
	}
	return compact
}

// raw signs a header and a payload as they are.
func (f *fixture) raw(header, payload string) string {
	f.t.Helper()
	input := encoding.EncodeToString([]byte(header)) + "." + encoding.EncodeToString([]byte(payload))
	signature, err := f.key.method.Sign(input, f.key.sign)
	if err != nil {
		f.t.Fatal(err)
	}
	return input + "." + encoding.EncodeToString(signature)
}

// payload is the JSON of a good token's claims with more members behind it.
func (f *fixture) payload(more string) string {
	b, err := json.Marshal(f.claims())
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "}") + more + "}"
}

func (f *fixture) header() string { return fmt.Sprintf(`{"alg":%q,"kid":"k1"}`, f.key.Algorithm) }

func bearer(token string) Credentials {
	return Extract(map[string][]string{"Authorization": {"Bearer " + token}}, "Api-Key")
}

func (f *fixture) decide(token string) Decision {
	return f.gate.Decide(f.policy, bearer(token), now)
}

// want decides about the token by three ways, which must agree.
func (f *fixture) want(token string, reason Reason) Decision {
	f.t.Helper()
	d := f.decide(token)
	if d.Reason != reason {
		f.t.Errorf("%.60s: %s, want %s", token, d.Reason, reason)
	}
	if again := f.decide(token); again.Reason != d.Reason {
		f.t.Errorf("%.60s: the second time %s, the first %s", token, again.Reason, d.Reason)
	}
	if explained, _ := f.gate.Explain(f.t.Context(), f.policy, bearer(token), now); explained.Reason != d.Reason {
		f.t.Errorf("%.60s: explained as %s, decided as %s", token, explained.Reason, d.Reason)
	}
	return d
}

// renew is the gate's, which returns the token for a header.
func (f *fixture) renew(d Decision, at time.Time) (token string, result RenewResult, err error) {
	authorization, result, err := f.gate.Renew(d, at)
	token, ok := strings.CutPrefix(authorization, "Bearer ")
	if ok != (authorization != "") {
		f.t.Errorf("no value of an Authorization header: %q", authorization)
	}
	return token, result, err
}
