package auth

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

// benchFixture asks for all that a typical route asks for.
func benchFixture(b *testing.B, alg string) (*fixture, Credentials) {
	f := newFixture(b, alg)
	f.policy.Mode = Both
	f.policy.Scopes = []string{"orders:read"}
	f.policy.Forward = &Forward{APIKeyHeader: "X-Client-Id", Claims: []ClaimHeader{
		{Claim: "sub", Header: "X-User-Id"}, {Claim: "email", Header: "X-User-Email"},
	}}
	token := f.token(map[string]any{
		"sid": "c6d5b0a9", "email": "firstname.lastname@example.com", "client_id": "web", "scope": "orders:read orders:write",
		"roles": []string{"orders:read", "orders:write", "invoices:read", "profile:read"},
	})
	return f, Extract(header("Api-Key: web-key", "Authorization: Bearer "+token), "Api-Key")
}

// BenchmarkDecision is the whole decision on a remembered token: API key,
// token, revocations, scopes, and the claims as headers.
func BenchmarkDecision(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256", "HS256"} {
		b.Run(alg, func(b *testing.B) {
			f, creds := benchFixture(b, alg)
			b.ReportAllocs()
			for b.Loop() {
				if d := f.gate.Decide(f.policy, creds, now); d.Reason != OK {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}

// BenchmarkFirstSight is the whole decision on a token never seen before;
// BenchmarkSignature is what of it is the bare check of its signature.
func BenchmarkFirstSight(b *testing.B) {
	for _, alg := range []string{"HS256", "RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			f, creds := benchFixture(b, alg)
			f.gate.tokens = nil
			b.ReportAllocs()
			for b.Loop() {
				if d := f.gate.Decide(f.policy, creds, now); d.Reason != OK {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}

func BenchmarkSignature(b *testing.B) {
	for _, alg := range []string{"HS256", "RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			f, creds := benchFixture(b, alg)
			h, p, s, _ := split(creds.bearer, 1<<20)
			signature, _ := encoding.DecodeString(s)
			b.ReportAllocs()
			for b.Loop() {
				if !f.key.verifySignature(h+"."+p, signature) {
					b.Fatal("refused")
				}
			}
		})
	}
}

// BenchmarkForged is a token of the right form with a bad signature.
func BenchmarkForged(b *testing.B) {
	for _, alg := range []string{"HS256", "RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			f, creds := benchFixture(b, alg)
			creds.bearer = creds.bearer[:len(creds.bearer)-8] + "AAAAAAAA"
			b.ReportAllocs()
			for b.Loop() {
				if d := f.gate.Decide(f.policy, creds, now); d.Reason != TokenUntrusted {
					b.Fatal(d.Reason)
				}
			}
		})
	}
}

// BenchmarkRenewal is a renewal within the interval, and one that signs.
func BenchmarkRenewal(b *testing.B) {
	for _, alg := range []string{"HS256", "RS256", "ES256"} {
		f, creds := benchFixture(b, alg)
		f.issuer.Renew.After = 0
		d := f.gate.Decide(f.policy, creds, now)
		for name, step := range map[string]time.Duration{"reused": 0, "minted": time.Minute} {
			b.Run(fmt.Sprint(alg, "/", name), func(b *testing.B) {
				f.issuer.Renew.MaxSession, f.issuer.MaxTokenLife = 1<<62, 1<<62
				b.ReportAllocs()
				at := now
				for b.Loop() {
					d.Principal.Token.verified.expires = at.Unix() + 3600
					if _, result, err := f.renew(d, at); err != nil || result == RenewCapped {
						b.Fatal(result, err)
					}
					at = at.Add(step)
				}
			})
		}
	}
}

// TestDecisionAllocations guards the speed of the decision by a figure that
// does not depend on the machine.
func TestDecisionAllocations(t *testing.T) {
	f := newFixture(t, "ES256")
	f.policy.Mode = Both
	creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.token(nil)), "Api-Key")
	f.gate.Decide(f.policy, creds, now)
	if n := testing.AllocsPerRun(100, func() { f.gate.Decide(f.policy, creds, now) }); n > 1 {
		t.Errorf("a decision on a remembered token allocates %v times", n)
	}
}

// BenchmarkAPIKeys is the search for a key among many.
func BenchmarkAPIKeys(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := make([]APIKey, n)
			for i := range all {
				all[i] = APIKey{ID: "k", SHA256: sha256.Sum256(fmt.Append(nil, "key ", i))}
			}
			keys := NewAPIKeys(all, &StoredAPIKeys{})
			presented := fmt.Sprint("key ", n/2)
			b.ReportAllocs()
			for b.Loop() {
				if keys.Find(presented) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}
