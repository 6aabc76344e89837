package keyset

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

func TestNewRing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*RingConfig)
		want   string
	}{
		"good":                      {func(*RingConfig) {}, ""},
		"the shortest publishing":   {func(c *RingConfig) { c.PublishFor = 4 * c.Poll }, ""},
		"publishing too short":      {func(c *RingConfig) { c.PublishFor = 4*c.Poll - 1 }, "at least 20s before it signs"},
		"the fastest rotation":      {func(c *RingConfig) { c.RetireAfter, c.RotateEvery = publishFor, publishFor }, ""},
		"faster than publishing":    {func(c *RingConfig) { c.RotateEvery = publishFor - 1 }, "is too often: a key is published for 2m0s"},
		"more keys than it holds":   {func(c *RingConfig) { c.RetireAfter, c.RotateEvery = 17*publishFor, publishFor }, "a ring holds 32"},
		"as many keys as may be":    {func(c *RingConfig) { c.RetireAfter, c.RotateEvery = 17*publishFor-1, publishFor }, ""},
		"a negative rotation":       {func(c *RingConfig) { c.RotateEvery = -1 }, "is too often"},
		"no poll":                   {func(c *RingConfig) { c.Poll = 0 }, "must be above 0"},
		"no retirement":             {func(c *RingConfig) { c.RetireAfter = 0 }, "must be above 0"},
		"no issuer":                 {func(c *RingConfig) { c.Issuer = "" }, "are needed"},
		"no store":                  {func(c *RingConfig) { c.Store = nil }, "are needed"},
		"no log":                    {func(c *RingConfig) { c.Log = nil }, "are needed"},
		"algorithm none":            {func(c *RingConfig) { c.Algorithm = "none" }, `unknown algorithm "none"`},
		"a short encryption key":    {func(c *RingConfig) { c.EncryptionKey = encryptionKey[1:] }, "31 bytes instead of 32"},
		"a long encryption key":     {func(c *RingConfig) { c.EncryptionKey = append(encryptionKey[:32:32], 1) }, "33 bytes instead of 32"},
		"no encryption key":         {func(c *RingConfig) { c.EncryptionKey = nil }, "0 bytes instead of 32"},
		"a repeated encryption key": {func(c *RingConfig) { c.EncryptionKey = bytes.Repeat([]byte{7}, 32) }, "one byte repeated"},
	} {
		cfg := ringConfig(newRingStore())
		c.change(&cfg)
		r, err := NewRing(cfg)
		if (err == nil) != (c.want == "") || (r == nil) == (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRingBeforeItHasKeys(t *testing.T) {
	r := newRing(t, ringConfig(newRingStore()))
	if r.Ready() || r.Signer() != nil || r.Find("") != nil || len(r.All()) != 0 || len(r.List()) != 0 {
		t.Error("a ring that was not loaded has keys")
	}
	if err := r.Load(t.Context()); err != nil || r.Ready() {
		t.Errorf("a store without a ring: ready %t, %v", r.Ready(), err)
	}
	if _, err := r.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), `"main" has no signing key yet`) {
		t.Errorf("rotating nothing: %v", err)
	}
	if _, version := r.cfg.Store.(*ringStore).raw("main"); version != 0 {
		t.Error("something was stored")
	}
}

// Each algorithm's keys come back from the store as they were made.
func TestRingAlgorithms(t *testing.T) {
	for alg := range makers {
		cfg := ringConfig(newRingStore())
		cfg.Algorithm = alg
		r := newRing(t, cfg)
		record, err := newRingRecord(alg)
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		text, err := json.Marshal(ringDocument{ringRecords{record}})
		if err != nil {
			t.Fatal(err)
		}
		sealed := r.sealer.seal(text)
		cfg.Store.(*ringStore).put("main", sealed)
		if err := r.Load(t.Context()); err != nil || len(r.All()) != 1 {
			t.Errorf("%s: %v, %d keys", alg, err, len(r.All()))
			continue
		}
		wantVerified(t, record.key, r.All()[0])
		wantVerified(t, r.Signer(), record.key)
		for _, secret := range [][]byte{record.Private, []byte(base64.StdEncoding.EncodeToString(record.Private)), []byte(record.KID)} {
			if bytes.Contains(sealed, secret) {
				t.Errorf("%s: the ring is not encrypted", alg)
			}
		}
	}
}

// wantVerified wants one key to verify what the other signs.
func wantVerified(t *testing.T, signer, verifier *auth.Key) {
	t.Helper()
	issuer := &auth.Issuer{
		Name: "main", Issuer: "i", AnyAudience: true, Keys: auth.NewStaticKeys([]*auth.Key{verifier}),
		MaxTokenBytes: 4 << 10, MaxTokenLife: 2 * tokenLife, SubjectClaim: "sub",
	}
	now := time.Now()
	token, err := auth.Sign(signer, "JWT", map[string]any{"iss": "i", "sub": "u", "exp": now.Add(tokenLife).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	if report, _ := newGate(t, issuer).Inspect(t.Context(), token, now); report.Reason != auth.OK {
		t.Errorf("%s, kid %q: %s", signer.Algorithm, signer.ID, report.Reason)
	}
}

func newGate(t *testing.T, issuer *auth.Issuer) *auth.Gate {
	t.Helper()
	gate, err := auth.NewGate(auth.GateConfig{
		Issuers: []*auth.Issuer{issuer}, APIKeys: auth.NewAPIKeys(nil, nil), Revocations: noRevocations{}, CacheBytes: 4 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

type noRevocations struct{}

func (noRevocations) Covers(auth.Kind, auth.RevocationKey, int64, int64) auth.Coverage {
	return auth.NotCovered
}

func (noRevocations) Confirm(context.Context, auth.Revocation, int64, int64) (auth.Coverage, error) {
	return auth.NotCovered, nil
}
func (noRevocations) Stale(time.Time) bool { return false }

// Two that change the ring at once would undo each other's work.
func TestOneChangesTheRingAtATime(t *testing.T) {
	store := newRingStore()
	r := newRing(t, ringConfig(store))
	asked := 0
	store.asked = func() {
		if asked++; r.update.TryLock() {
			t.Error("the store is read while another may change the ring")
		}
	}
	if err := errors.Join(r.Load(t.Context()), r.change(t.Context(), r.due)); err != nil || asked != 2 {
		t.Errorf("%v, the store was asked %d times", err, asked)
	}
}

// Requests read while the ring is kept and rotated: for the race detector.
func TestRingIsReadWhileItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		r, _ := runRing(t, ringConfig(store))
		pass(2 * poll)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for ctx.Err() == nil {
					if signer := r.Signer(); r.Find(signer.ID) == nil || !r.Ready() || len(r.List()) == 0 {
						t.Error("the signer is not among the keys")
					}
					time.Sleep(time.Second / 2)
				}
			})
		}
		for range 5 {
			if _, err := r.Rotate(ctx); err != nil {
				t.Error(err)
			}
			pass(publishFor / 3)
		}
		cancel()
		group.Wait()
	})
}
