package auth

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

func TestFindBoundsTheKey(t *testing.T) {
	longest := strings.Repeat("x", 512)
	keys := NewAPIKeys([]APIKey{
		{ID: "empty", SHA256: sha256.Sum256(nil)},
		{ID: "longest", SHA256: sha256.Sum256([]byte(longest))},
		{ID: "longer", SHA256: sha256.Sum256([]byte(longest + "x"))},
	}, nil)
	for presented, want := range map[string]bool{"": false, longest: true, longest + "x": false} {
		if got := keys.Find(presented); (got != nil) != want {
			t.Errorf("%d bytes: %v", len(presented), got)
		}
	}
}

// A stored key is a key like those of the config.
func TestStoredKeyDecides(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = APIKeyOnly
	stored := &StoredAPIKeys{}
	var err error
	f.gate, err = NewGate(GateConfig{APIKeys: NewAPIKeys(nil, stored), Revocations: f.list})
	if err != nil {
		t.Fatal(err)
	}
	stored.Put(APIKey{ID: "partner", SHA256: sha256.Sum256([]byte("p"))})
	creds := Extract(header("Api-Key: p"), "Api-Key")
	d := f.gate.Decide(f.policy, creds, now)
	if got := headersOf(d); d.Reason != OK || got["X-Client-Id"] != "partner" {
		t.Errorf("%s, headers %q", d.Reason, got)
	}
	f.list.add(Revocation{Kind: KindAPIKey, ID: "partner"})
	if d := f.gate.Decide(f.policy, creds, now); d.Reason != APIKeyInvalid || d.Headers != nil {
		t.Errorf("revoked: %s, headers %q", d.Reason, headersOf(d))
	}
}

// P17: a connection ends with the key that opened it.
func TestRecheckOfAPIKeys(t *testing.T) {
	at := map[string]time.Time{"": now, "later": now.Add(time.Hour)}
	for name, c := range map[string]struct {
		end  func(f *fixture, stored *StoredAPIKeys)
		at   string
		want Reason
	}{
		"still good":     {func(*fixture, *StoredAPIKeys) {}, "", OK},
		"expired":        {func(*fixture, *StoredAPIKeys) {}, "later", APIKeyInvalid},
		"revoked by id":  {func(f *fixture, _ *StoredAPIKeys) { f.list.add(Revocation{Kind: KindAPIKey, ID: "partner"}) }, "", APIKeyInvalid},
		"deleted":        {func(_ *fixture, s *StoredAPIKeys) { s.Delete(sha256.Sum256([]byte("p"))) }, "", APIKeyInvalid},
		"another is new": {func(_ *fixture, s *StoredAPIKeys) { s.Put(APIKey{ID: "partner", SHA256: sha256.Sum256([]byte("q"))}) }, "", OK},
	} {
		f := newFixture(t, "HS256")
		f.policy.Mode = APIKeyOnly
		stored := &StoredAPIKeys{}
		stored.Put(APIKey{ID: "partner", SHA256: sha256.Sum256([]byte("p")), NotAfter: now.Add(time.Hour)})
		var err error
		f.gate, err = NewGate(GateConfig{APIKeys: NewAPIKeys(nil, stored), Revocations: f.list})
		if err != nil {
			t.Fatal(err)
		}
		d := f.gate.Decide(f.policy, Extract(header("Api-Key: p"), "Api-Key"), now)
		c.end(f, stored)
		if got := f.gate.Recheck(d.Principal, at[c.at]); d.Reason != OK || got != c.want {
			t.Errorf("%s: let in %s, then %s, want %s", name, d.Reason, got, c.want)
		}
	}
}

func TestK03ExactKey(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = APIKeyOnly
	for key, want := range map[string]Reason{
		"web-key": OK, "web-ke": APIKeyInvalid, "web-key0": APIKeyInvalid, "web-key ": APIKeyInvalid, " web-key": APIKeyInvalid,
		"WEB-KEY": APIKeyInvalid, "web-key\x00": APIKeyInvalid, "wéb-key": APIKeyInvalid, "": APIKeyMissing,
		strings.Repeat("x", maxAPIKeyBytes+1): APIKeyInvalid,
		"old-key":                             APIKeyInvalid, // K08: expired this very second
		"other-key":                           APIKeyForbidden,
	} {
		if d := f.gate.Decide(f.policy, Extract(header("Api-Key: "+key), "Api-Key"), now); d.Reason != want {
			t.Errorf("%.20q: %s, want %s", key, d.Reason, want)
		}
	}
}

func TestK10SeveralKeys(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = APIKeyOnly
	for _, lines := range [][]string{
		{"Api-Key: web-key", "Api-Key: web-key"}, {"Api-Key: web-key,web-key"}, {"Api-Key: web-key", "Api-Key: "}, {"Api-Key: ", "Api-Key: web-key"},
	} {
		if d := f.gate.Decide(f.policy, Extract(header(lines...), "Api-Key"), now); d.Reason != APIKeyInvalid {
			t.Errorf("%q: %s", lines, d.Reason)
		}
	}
}

func TestK09KeyForAnotherRoute(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode, f.policy.Route = APIKeyOnly, "invoices"
	if d := f.gate.Decide(f.policy, Extract(header("Api-Key: other-key"), "Api-Key"), now); d.Reason != OK {
		t.Errorf("its own route: %s", d.Reason)
	}
	f.policy.Route = "invoice"
	if d := f.gate.Decide(f.policy, Extract(header("Api-Key: other-key"), "Api-Key"), now); d.Reason != APIKeyForbidden {
		t.Errorf("another route: %s", d.Reason)
	}
}

func TestK08KeyExpires(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = APIKeyOnly
	creds := Extract(header("Api-Key: old-key"), "Api-Key")
	for at, want := range map[time.Duration]Reason{-time.Millisecond: OK, 0: APIKeyInvalid, time.Millisecond: APIKeyInvalid} {
		if d := f.gate.Decide(f.policy, creds, now.Add(at)); d.Reason != want {
			t.Errorf("%s: %s", at, d.Reason)
		}
	}
}

func TestStoredAPIKeys(t *testing.T) {
	stored := &StoredAPIKeys{}
	keys := NewAPIKeys([]APIKey{{ID: "config", SHA256: sha256.Sum256([]byte("a"))}}, stored)
	if stored.All() != nil || keys.Find("b") != nil {
		t.Error("an empty set has keys")
	}
	stored.Put(APIKey{ID: "b1", SHA256: sha256.Sum256([]byte("b"))})
	stored.Put(APIKey{ID: "a1", SHA256: sha256.Sum256([]byte("a"))})
	stored.Put(APIKey{ID: "b2", SHA256: sha256.Sum256([]byte("b"))})
	if k := keys.Find("b"); k == nil || k.ID != "b2" || !k.Stored || len(stored.All()) != 2 {
		t.Errorf("replaced: %+v of %d", k, len(stored.All()))
	}
	if k := keys.Find("a"); k == nil || k.ID != "config" || k.Stored {
		t.Errorf("the config does not come first: %+v", k)
	}
	stored.Delete(sha256.Sum256([]byte("b")))
	if keys.Find("b") != nil {
		t.Error("deleted and still found")
	}
}
