package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"testing"

	"gatehouse/auth"
)

// TestJ26CostlyTokensOfOneClient: who floods with costly tokens is told to slow
// down, by the address that trusted proxies have vouched for, and nobody else is.
func TestJ26CostlyTokensOfOneClient(t *testing.T) {
	g := newGateway(t, func(s *setup) {
		trustLoopback(s)
		s.routes = []*Route{route("all", "/", auth.BearerOnly)}
	})
	key := must(auth.NewSigningKey("k1", "ES384", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))))
	g.issuer.Keys = auth.NewStaticKeys([]*auth.Key{key})
	token := "Authorization: Bearer " + must(auth.Sign(key, "JWT", map[string]any{"iss": "nobody"}))
	for range 1000 {
		a := g.get("/", token, "X-Forwarded-For: 203.0.113.9")
		if a.StatusCode == http.StatusUnauthorized {
			continue
		}
		g.refused(a, http.StatusTooManyRequests, "rate_limited")
		if wait := a.Header.Get("Retry-After"); wait != "1" {
			t.Errorf("Retry-After: %q", wait)
		}
		g.refused(g.get("/", token, "X-Forwarded-For: 203.0.113.10"), http.StatusUnauthorized, "token_untrusted")
		return
	}
	t.Error("a thousand costly tokens, and no limit")
}
