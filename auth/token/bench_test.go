package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"gatehouse/auth"
)

// BenchmarkIssueES256 is all that issuing an access token takes;
// BenchmarkBareES256 is what of it is the bare signature.
func BenchmarkIssueES256(b *testing.B) {
	f := newFixture(b)
	g := f.login(with("web", ""))
	s := f.store.sessions[g.SessionID].Session
	user := f.users.users["jane@example.com"]
	b.ReportAllocs()
	for b.Loop() {
		claims, err := user.claims()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.sign(f.clock, accessToken{
			subject: s.Subject, session: s.ID, client: s.ClientID, scopes: s.Scopes, claims: claims, authTime: s.AuthTime, life: f.cfg.AccessTTL,
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBareES256(b *testing.B) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("x"))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ecdsa.Sign(rand.Reader, private, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIntrospect and BenchmarkInfo are to be compared with BenchmarkDecide.
func BenchmarkIntrospect(b *testing.B) {
	f := newFixture(b)
	r := with("backend", "backend-secret")
	g := f.login(r)
	b.ReportAllocs()
	for b.Loop() {
		if i, err := f.Introspect(ctx, Introspection{Request: r, Token: g.AccessToken}); err != nil || !i.Active {
			b.Fatal(i, err)
		}
	}
}

func BenchmarkInfo(b *testing.B) {
	f := newFixture(b)
	r := bearer(f.login(from("192.0.2.1")).AccessToken)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Info(ctx, Info{r}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	f := newFixture(b)
	c := auth.BearerCredentials(f.login(from("192.0.2.1")).AccessToken)
	b.ReportAllocs()
	for b.Loop() {
		if d := f.cfg.Gate.Decide(&f.policy, c, f.clock); d.Reason != auth.OK {
			b.Fatal(d.Reason)
		}
	}
}
