package keyset

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/auth"
)

// RingStore keeps the rings of issuers, as bytes that tell it nothing.
type RingStore interface {
	// Keyring returns an issuer's ring and its version; nil and 0 when there is
	// none.
	Keyring(ctx context.Context, issuer string) (data []byte, version uint64, err error)
	// PutKeyring puts a ring in the place of the one with that version, where 0
	// is none. A conflict need not be told from another failure: after any, the
	// ring is read again, and what is there then decides.
	PutKeyring(ctx context.Context, issuer string, data []byte, version uint64) error
}

// RingConfig configures a [Ring]. All but RotateEvery and Now must be set, to
// the same on every replica.
type RingConfig struct {
	Issuer        string        // its configured name
	Algorithm     string        // of keys to come; those that are there keep theirs
	EncryptionKey []byte        // 32 bytes, see [ParseEncryptionKey]
	RotateEvery   time.Duration // 0: by [Ring.Rotate] only
	PublishFor    time.Duration // from a key's making until it signs; must cover Poll and the difference of clocks
	RetireAfter   time.Duration // from when its successor signs until it is dropped: a token's longest life and twice the leeway
	Poll          time.Duration // the store is read at least as often
	Store         RingStore
	Log           *slog.Logger
	Now           func() time.Time // nil: time.Now
}

// Ring is the signing keys of an issuer that are made here and kept in the
// store, encrypted, for all replicas. A key is published when it is made, signs
// when every replica has had the time to read it, and is dropped when no token
// of its can be good any more; each replica goes by its own clock. The first of
// all is made when the store had none for as long as Poll, and signs at once.
//
// It implements [auth.Keys] without a lock. It knows no key before Load or Run,
// and keeps those that it knows while the store cannot be read, or has lost
// them: it writes them back then.
type Ring struct {
	cfg    RingConfig
	sealer *sealer
	set    atomic.Pointer[ringSet]
	update sync.Mutex // held by who reads the store and replaces the set
	// emptySince is when Run first found no key anywhere; zero: it has found one,
	// or does not know.
	emptySince time.Time
}

// ringSet is what requests see; it never changes.
type ringSet struct {
	records ringRecords
	keys    []*auth.Key
	byID    map[string]*auth.Key
}

var _ auth.Keys = (*Ring)(nil)

// NewRing returns a ring that knows no key yet. It refuses times by which a key
// could sign before others have read it, or by which more keys would have to be
// kept than a ring holds.
func NewRing(cfg RingConfig) (*Ring, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.Issuer == "" || cfg.Store == nil || cfg.Log == nil:
		return nil, errors.New("key ring: Issuer, Store and Log are needed")
	case makers[cfg.Algorithm] == nil:
		return nil, fmt.Errorf("unknown algorithm %q", cfg.Algorithm)
	case cfg.Poll <= 0 || cfg.RetireAfter <= 0:
		return nil, errors.New("key ring: Poll and RetireAfter must be above 0")
	case cfg.PublishFor < 4*cfg.Poll:
		return nil, fmt.Errorf("a key must be published for at least %s before it signs, since the store is read every %s: %s is too short", 4*cfg.Poll, cfg.Poll, cfg.PublishFor)
	case cfg.RotateEvery != 0 && cfg.RotateEvery < cfg.PublishFor:
		return nil, fmt.Errorf("rotating every %s is too often: a key is published for %s before it signs", cfg.RotateEvery, cfg.PublishFor)
	case cfg.RotateEvery != 0 && cfg.RetireAfter/cfg.RotateEvery > maxRingKeys/2:
		return nil, fmt.Errorf("rotating every %s is too often: an old key is kept for %s, and a ring holds %d", cfg.RotateEvery, cfg.RetireAfter, maxRingKeys)
	}
	s, err := newSealer(cfg.Issuer, cfg.EncryptionKey)
	if err != nil {
		return nil, err
	}
	r := &Ring{cfg: cfg, sealer: s}
	r.set.Store(&ringSet{})
	return r, nil
}

// adopt lets requests see those records.
func (r *Ring) adopt(records ringRecords) {
	s := &ringSet{records: records, byID: make(map[string]*auth.Key, len(records))}
	for _, record := range records {
		s.keys = append(s.keys, record.key)
		s.byID[record.KID] = record.key
	}
	r.set.Store(s)
}

// Find returns the key with that kid, nil when there is none.
func (r *Ring) Find(kid string) *auth.Key { return r.set.Load().byID[kid] }

// All returns the keys that verify, the oldest first: those to publish.
func (r *Ring) All() []*auth.Key { return r.set.Load().keys }

// Signer returns the key that signs at this moment, nil while none is known.
func (r *Ring) Signer() *auth.Key {
	s := r.set.Load()
	if len(s.keys) == 0 {
		return nil
	}
	return s.keys[s.records.signer(r.cfg.Now())]
}

// Ready is true from when a key is known.
func (r *Ring) Ready() bool { return len(r.All()) > 0 }
