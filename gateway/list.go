package gateway

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/config"
)

// list are the mirrors together with the configured answer to their being old.
// The answer can change by a reload; the mirrors stay.
type list struct {
	revocation.Mirrors
	// limit is the age above which the list is stale, as a time.Duration. 0:
	// it must have been read at the very moment, as a command does.
	limit atomic.Int64
}

// newList returns an empty list; the number of its shards must be that of the
// store's where it is fed from there. Each has its share of MaxBytes.
func newList(shards int, cfg revocation.MirrorConfig) (*list, error) {
	cfg.MaxBytes /= max(1, shards)
	mirrors, err := revocation.NewMirrors(shards, cfg)
	return &list{Mirrors: mirrors}, err
}

// set takes the answer from a configuration. A list that never was whole is
// stale in either case: letting requests through without ever having seen the
// revocations is not what `allow` means.
func (l *list) set(cfg config.Revocation) {
	limit := cfg.MaxStaleness.Std()
	if cfg.WhenStale == "allow" {
		limit = math.MaxInt64 - 1
	}
	l.limit.Store(int64(limit))
}

// Stale reports whether the list is too old to be trusted for what it does not
// contain.
func (l *list) Stale(now time.Time) bool { return l.Age(now) > time.Duration(l.limit.Load()) }

// revoker writes revocations and puts them into force in this replica before it
// says that they are written: whoever asked may try the token in the same
// moment. Other replicas hear of them by the feed.
type revoker struct {
	*tokenStore
	list *list
}

// Revoke returns nil once the entry cannot be lost.
func (r *revoker) Revoke(ctx context.Context, entry auth.Revocation) error {
	if err := r.tokenStore.Revoke(ctx, entry); err != nil {
		return err
	}
	r.list.Put(entry, time.Now())
	return nil
}
