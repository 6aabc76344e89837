package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/keyset"
	"gatehouse/config"
	"gatehouse/store"
)

// ringPoll is how often a ring is read from the store at most. A rotation by
// command is seen by all replicas that soon; a key is published for at least
// four times as long.
const ringPoll = time.Second

// rings are the key rings of all issuers.
type rings struct {
	*lasting[*keyset.Ring]
	store keyset.RingStore
	log   *slog.Logger
}

func newRings(store keyset.RingStore, log *slog.Logger) *rings {
	return &rings{newLasting[*keyset.Ring](), store, log}
}

// ring returns the ring of an issuer, the one that is there if its configuration
// is the same.
func (r *rings) ring(issuer *auth.Issuer, c *config.KeyRing, key []byte) (*keyset.Ring, error) {
	cfg := keyset.RingConfig{
		Issuer: issuer.Name, Algorithm: c.Algorithm, EncryptionKey: key, RotateEvery: c.RotateEvery.Std(), PublishFor: c.PublishFor.Std(),
		RetireAfter: issuer.MaxTokenLife + 2*issuer.Leeway, Poll: min(ringPoll, c.PublishFor.Std()/4),
	}
	name := fmt.Sprint(cfg.Issuer, cfg.Algorithm, sha256.Sum256(key), cfg.RotateEvery, cfg.PublishFor, cfg.RetireAfter)
	cfg.Store, cfg.Log = r.store, r.log
	return r.of(name, func() (*keyset.Ring, error) { return keyset.NewRing(cfg) })
}

// load reads the rings that are not in force yet, so that none begins without
// its keys.
func (r *rings) load(ctx context.Context) error {
	for _, ring := range r.fresh() {
		if err := ring.Load(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ringKeys are the keys of an issuer that signs with a ring, and verifies with
// those of its configuration too.
type ringKeys struct {
	auth.Keys
	ring *keyset.Ring
}

// Find returns the key with that kid, nil when there is none.
func (k ringKeys) Find(kid string) *auth.Key {
	if key := k.ring.Find(kid); key != nil {
		return key
	}
	return k.Keys.Find(kid)
}

// All returns the ring's keys and the others.
func (k ringKeys) All() []*auth.Key { return slices.Concat(k.ring.All(), k.Keys.All()) }

// Signer returns the ring's; until it has its first, that of the configuration.
func (k ringKeys) Signer() *auth.Key {
	if key := k.ring.Signer(); key != nil {
		return key
	}
	return k.Keys.Signer()
}

// Ready is false while the ring cannot be had.
func (k ringKeys) Ready() bool { return k.ring.Ready() && k.Keys.Ready() }

// commandRings keeps the rings of a command: the store is opened when one is
// asked for, and no longer.
type commandRings struct {
	cfg *config.Config
	log *slog.Logger
}

// Keyring implements keyset.RingStore.
func (c commandRings) Keyring(ctx context.Context, issuer string) (data []byte, version uint64, err error) {
	err = ReadStore(ctx, c.cfg, c.log, func(st *store.Store) error {
		data, version, err = st.Keyring(ctx, issuer)
		return err
	})
	return data, version, err
}

// PutKeyring implements keyset.RingStore.
func (c commandRings) PutKeyring(ctx context.Context, issuer string, data []byte, version uint64) error {
	st, err := OpenStore(ctx, c.cfg, c.log)
	if err != nil {
		return err
	}
	defer st.Close()
	return st.PutKeyring(ctx, issuer, data, version)
}
