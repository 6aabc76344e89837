package revocation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/auth"
)

// MaxShards is the most shards that a list can be kept in.
const MaxShards = 64

// ErrShardCount is what a number of shards is refused with.
var ErrShardCount = errors.New("the number of shards must be 1, 2, 4, 8, 16, 32 or 64")

// CheckShards returns ErrShardCount unless a list can be kept in n shards.
func CheckShards(n int) error {
	if n < 1 || n > MaxShards || n&(n-1) != 0 {
		return ErrShardCount
	}
	return nil
}

// ShardOf is the shard of a key in a list of n. A mirror divides its entries
// by the key's first byte; this is another one, so that both divisions are even.
func ShardOf(key auth.RevocationKey, n int) int { return int(key[7]) & (n - 1) }

// Mirrors are the mirrors of a list that is kept in several shards, one for
// each: together they are one list. Each has a feed of its own and is as whole
// as that says; the list is whole when all are.
type Mirrors []*Mirror

var _ auth.RevocationList = Mirrors(nil)

// NewMirrors returns as many empty mirrors, or ErrShardCount.
func NewMirrors(n int, cfg MirrorConfig) (Mirrors, error) {
	if err := CheckShards(n); err != nil {
		return nil, err
	}
	all := make(Mirrors, n)
	for i := range all {
		all[i] = NewMirror(cfg)
	}
	return all, nil
}

// Of is the mirror that a key is looked up in.
func (m Mirrors) Of(key auth.RevocationKey) *Mirror { return m[ShardOf(key, len(m))] }

// Covers is as of the mirror: see [Mirror.Covers]. Of is written out, because
// that is short enough to be inlined: two nanoseconds of each request.
func (m Mirrors) Covers(kind auth.Kind, key auth.RevocationKey, begun, now int64) auth.Coverage {
	return m[int(key[7])&(len(m)-1)].Covers(kind, key, begun, now)
}

// Confirm is as of the mirror: see [Mirror.Confirm].
func (m Mirrors) Confirm(ctx context.Context, r auth.Revocation, begun, now int64) (auth.Coverage, error) {
	return m.Of(r.Key()).Confirm(ctx, r, begun, now)
}

// Put adds an entry where it is looked up: see [Mirror.Put].
func (m Mirrors) Put(r auth.Revocation, now time.Time) { m.Of(r.Key()).Put(r, now) }

// Len is that of all mirrors together.
func (m Mirrors) Len() map[auth.Kind]int {
	n := m[0].Len()
	for _, each := range m[1:] {
		for kind, count := range each.Len() {
			n[kind] += count
		}
	}
	return n
}

// FilterBits is that of all mirrors together.
func (m Mirrors) FilterBits() (bits int) {
	for _, each := range m {
		bits += each.FilterBits()
	}
	return bits
}

// Current notes that all of the list was whole at that time.
func (m Mirrors) Current(at time.Time) {
	for _, each := range m {
		each.Current(at)
	}
}

// Complete reports whether every shard was ever whole.
func (m Mirrors) Complete() bool {
	for _, each := range m {
		if !each.Complete() {
			return false
		}
	}
	return true
}

// Age is that of the oldest: see [Mirror.Age].
func (m Mirrors) Age(now time.Time) time.Duration {
	age := m[0].Age(now)
	for _, each := range m[1:] {
		age = max(age, each.Age(now))
	}
	return age
}

// Stale reports whether one of them is.
func (m Mirrors) Stale(now time.Time) bool {
	for _, each := range m {
		if each.Stale(now) {
			return true
		}
	}
	return false
}

// ShardsError is what a source is read with in vain whose store keeps the list
// in another number of shards than this process was told: what it would read
// are not its entries. Restore works all the same, and writes to where the
// entries belong now.
type ShardsError struct {
	Have  int    // in the store
	Want  int    // by this process
	Epoch string // of the store, so that one that was lost again is told from one that was not
}

// Error says what to do.
func (e *ShardsError) Error() string {
	return fmt.Sprintf("the revocation list in this store has %d shards and this process was told %d: "+
		"set store.revocation_shards to %d, or see \"Another number of shards\" in docs/revocation.md", e.Have, e.Want, e.Have)
}
