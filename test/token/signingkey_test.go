package token_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/test/rig"
)

// ring has the signing keys kept in the store, and tokens that end soon.
func ring(c *rig.Config) {
	replace("    keys: [{kid: k1, algorithm: ES256, private_key_file: k1.pem}]\n",
		"    key_ring: {algorithm: ES256, encryption_key_file: ring.secret, rotate_every: 0s, publish_for: 3s}\n    max_token_life: 4s\n")(c)
	c.Files["ring.secret"] = "6c0f1f2a9b1d4e58a3c7d6e5f4b3a29180716253a4b5c6d7e8f90a1b2c3d4e5f\n"
	c.Env["ACCESS_TTL"], c.Env["REPORT_TTL"], c.Env["GRACE"] = "3s", "3s", "2s"
}

// published are the ids of the keys that are published.
func (w *world) published(t *testing.T) map[string]bool {
	t.Helper()
	kids := map[string]bool{}
	for _, key := range object(t, w.get(t, "/.well-known/jwks.json").Body)["keys"].([]any) {
		kids[key.(map[string]any)["kid"].(string)] = true
	}
	return kids
}

// Signing keys are made by whoever is first, shared, and rotated without one
// failed request: tokens of either replica are used at both, throughout.
func TestSigningKeyRotationUnderLoad(t *testing.T) {
	t.Parallel()
	one, two, _ := pair(t, ring)
	old := text(t, part(t, one.login(t).Access, 0), "kid")
	if other := text(t, part(t, two.login(t).Access, 0), "kid"); other != old {
		t.Fatalf("the replicas sign with %s and %s", old, other)
	}
	var load sync.WaitGroup
	var requests atomic.Int64
	done := make(chan struct{})
	for i := range 4 {
		issuer, verifier := []*world{one, two}[i%2], []*world{two, one}[i%2]
		got := issuer.login(t)
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(50 * time.Millisecond):
				}
				got = granted(t, issuer.refresh(t, got.Refresh))
				verifier.alive(t, got.Access)
				issuer.alive(t, verifier.renewed(t, got.Access))
				requests.Add(4)
			}
		})
	}
	one.run(t, "signing-key", "rotate", "--issuer", "main")
	var next string
	rig.Eventually(t, "signed with another key", func() bool {
		next = text(t, part(t, two.login(t).Access, 0), "kid")
		return next != old
	})
	for _, w := range []*world{one, two} {
		if kids := w.published(t); !kids[next] {
			t.Errorf("published are %v, the signer is %s", kids, next)
		}
		rig.Eventually(t, "signing with the new key", func() bool { return text(t, part(t, w.login(t).Access, 0), "kid") == next })
	}
	rig.Eventually(t, "retired", func() bool { return !one.published(t)[old] && !two.published(t)[old] })
	close(done)
	load.Wait()
	t.Logf("%d requests through the rotation", requests.Load())
	if requests.Load() < 100 {
		t.Error("that was no load")
	}
	third := start(t, one.env["STORE"], ring, func(c *rig.Config) { c.Env["UPSTREAM"] = one.env["UPSTREAM"] })
	third.alive(t, one.login(t).Access)
	verifyByJWKS(t, third.client(t), third.login(t).Access, "ES256")
}

// A new key is published before anything is signed with it.
func TestSigningKeyIsPublishedFirst(t *testing.T) {
	stores(t, func(t *testing.T, url string) {
		w := start(t, url, ring)
		old := text(t, part(t, w.login(t).Access, 0), "kid")
		w.run(t, "signing-key", "rotate", "--issuer", "main")
		rig.Eventually(t, "published", func() bool { return len(w.published(t)) == 2 })
		if kid := text(t, part(t, w.login(t).Access, 0), "kid"); kid != old {
			t.Errorf("the new key %s signs at once", kid)
		}
		rig.Eventually(t, "signing", func() bool { return text(t, part(t, w.login(t).Access, 0), "kid") != old })
		if listed := w.run(t, "signing-key", "list", "--issuer", "main"); listed == "" {
			t.Error("nothing is listed")
		}
	})
}
