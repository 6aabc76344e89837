package store

import (
	"context"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
)

// shard is a shard of the list as a backend keeps it. Restore is given entries
// that are in force.
type shard interface {
	revocation.Source
	write(context.Context, revocation.Event) error
}

// source is a shard as feeds see it: what it is given is checked, and how it
// went is observed.
type source struct {
	store *Store
	shard shard
}

// Snapshot implements revocation.Source.
func (s *source) Snapshot(ctx context.Context, yield func(revocation.Event) error) (revocation.Position, error) {
	var at revocation.Position
	err := s.store.observed("snapshot", func() (err error) {
		at, err = s.shard.Snapshot(ctx, yield)
		return err
	})
	return at, err
}

// Follow implements revocation.Source.
func (s *source) Follow(ctx context.Context, from revocation.Position, yield func(revocation.Event) error) error {
	return s.shard.Follow(ctx, from, yield)
}

// Confirm implements revocation.Confirmer.
func (s *source) Confirm(ctx context.Context, since revocation.Position, asked ...auth.Revocation) (there []auth.Revocation, whole bool, err error) {
	err = s.store.observed("confirm", func() error {
		there, whole, err = s.shard.Confirm(ctx, since, asked...)
		return err
	})
	return there, whole, err
}

// Vouch implements revocation.Confirmer.
func (s *source) Vouch(ctx context.Context, since, now revocation.Position) error {
	return s.store.observed("vouch", func() error { return s.shard.Vouch(ctx, since, now) })
}

// Restore implements revocation.Source. The error is as of [Store.Revoke]; what
// is over is left out.
func (s *source) Restore(ctx context.Context, entries []auth.Revocation) error {
	now := time.Now()
	var inForce []auth.Revocation
	for _, r := range entries {
		if !r.Until.After(now) {
			continue
		}
		if err := validateRevocation(r, now); err != nil {
			return err
		}
		inForce = append(inForce, r)
	}
	return s.store.observed("restore", func() error { return s.shard.Restore(ctx, inForce) })
}
