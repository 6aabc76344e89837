package keyset

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
)

// keptSet is a set as it is stored.
type keptSet struct {
	Source string          `json:"source"` // of another than is configured now, the keys are not this issuer's
	Read   time.Time       `json:"read"`
	JWKS   json.RawMessage `json:"jwks"`
}

// keptName is the set's name in the store. No issuer is called so: names have no
// slash.
func (r *Remote) keptName() string { return "jwks/" + r.cfg.Issuer }

// restore adopts the set that is in the store, as strictly as if it came from
// the issuer.
func (r *Remote) restore(ctx context.Context) {
	if err := r.restoreKept(ctx); err != nil {
		r.cfg.Log.Warn("remote keys: those of the last time cannot be had from the store", "issuer", r.cfg.Issuer, "error", err)
	}
}

func (r *Remote) restoreKept(ctx context.Context) error {
	data, version, err := r.cfg.Store.Keyring(ctx, r.keptName())
	if err != nil || version == 0 {
		return err
	}
	var kept keptSet
	if err := json.Unmarshal(data, &kept); err != nil {
		return fmt.Errorf("they cannot be read: %w", err)
	}
	now := r.cfg.Now()
	if kept.Read.After(now) { // by a clock that is ahead: they must not last longer for it
		kept.Read = now
	}
	if kept.Source != r.cfg.source() || now.Sub(kept.Read) >= r.cfg.MaxStale {
		return nil
	}
	keys, skipped, err := ParseJWKS(kept.JWKS, r.cfg.Algorithms)
	if err != nil {
		return err
	}
	r.adopt(keys, skipped, kept.Read)
	return nil
}

// keep puts the set into the store for the next start, where that has another,
// none any more, or one so much older that it would not last.
func (r *Remote) keep(ctx context.Context) {
	if !r.Ready() {
		return
	}
	s := r.set.Load()
	err := r.put(ctx, s)
	if err != nil {
		err = r.put(ctx, s) // a conflict is another replica's success
	}
	if err != nil && ctx.Err() == nil && !r.unkept {
		r.cfg.Log.Warn("remote keys: cannot be kept in the store for the next start, trying again", "issuer", r.cfg.Issuer, "error", err)
	}
	r.unkept = err != nil
}

func (r *Remote) rewriteAfter() time.Duration { return r.cfg.MaxStale / 24 }

// put replaces what is in the store, be it unreadable, unless a replica has just
// put the same there, or what it has read since.
func (r *Remote) put(ctx context.Context, s *remoteSet) error {
	sorted := slices.SortedFunc(slices.Values(s.All()), func(a, b *auth.Key) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Algorithm, b.Algorithm))
	})
	jwks, err := PublicJWKS(sorted)
	if err != nil {
		return err
	}
	data, version, err := r.cfg.Store.Keyring(ctx, r.keptName())
	if err != nil {
		return err
	}
	var kept keptSet
	if json.Unmarshal(data, &kept) == nil && kept.Source == r.cfg.source() {
		older := s.read.Sub(kept.Read)
		if older.Abs() < r.rewriteAfter() && (older <= 0 || bytes.Equal(kept.JWKS, jwks)) {
			return nil
		}
	}
	if data, err = json.Marshal(keptSet{r.cfg.source(), s.read.UTC(), jwks}); err != nil {
		return err
	}
	return r.cfg.Store.PutKeyring(ctx, r.keptName(), data, version)
}
