package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"sync"
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

// rings are the key rings of all issuers. They outlive configurations: one that
// did not change goes on with the keys that it has.
type rings struct {
	store keyset.RingStore
	log   *slog.Logger

	mu      sync.Mutex
	all     map[string]*ring // by all that it is made of
	changed chan struct{}    // gets a value when there are rings to be started
}

type ring struct {
	*keyset.Ring
	used bool               // by the configuration that is built or in force
	stop context.CancelFunc // nil: not running
}

func newRings(store keyset.RingStore, log *slog.Logger) *rings {
	return &rings{store: store, log: log, all: map[string]*ring{}, changed: make(chan struct{}, 1)}
}

// of returns the ring of an issuer, the one that is there if its configuration
// is the same.
func (r *rings) of(issuer *auth.Issuer, c *config.KeyRing, key []byte) (*keyset.Ring, error) {
	cfg := keyset.RingConfig{
		Issuer: issuer.Name, Algorithm: c.Algorithm, EncryptionKey: key, RotateEvery: c.RotateEvery.Std(), PublishFor: c.PublishFor.Std(),
		RetireAfter: issuer.MaxTokenLife + 2*issuer.Leeway, Poll: min(ringPoll, c.PublishFor.Std()/4),
	}
	name := fmt.Sprint(cfg.Issuer, cfg.Algorithm, sha256.Sum256(key), cfg.RotateEvery, cfg.PublishFor, cfg.RetireAfter)
	cfg.Store, cfg.Log = r.store, r.log
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all[name] == nil {
		made, err := keyset.NewRing(cfg)
		if err != nil {
			return nil, err
		}
		r.all[name] = &ring{Ring: made}
	}
	r.all[name].used = true
	return r.all[name].Ring, nil
}

// settle is called when a configuration is in force, or has been refused: what
// it used is started, the rest is stopped. Then the next can be built.
func (r *rings) settle(accepted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, x := range r.all {
		if keep := x.used && accepted || x.stop != nil && !accepted; !keep {
			if x.stop != nil {
				x.stop()
			}
			delete(r.all, name)
		}
		x.used = false
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Run keeps the rings until ctx is done.
func (r *rings) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		r.mu.Lock()
		for _, x := range r.all {
			if x.stop != nil {
				continue
			}
			each, stop := context.WithCancel(ctx)
			x.stop = stop
			running.Go(func() { _ = x.Run(each) }) // it ends with its context only
		}
		r.mu.Unlock()
		select {
		case <-r.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// load reads every ring once, so that none begins without keys.
func (r *rings) load(ctx context.Context) error {
	for _, x := range r.all {
		if err := x.Load(ctx); err != nil {
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

// Signer returns the ring's, nil while it cannot be had.
func (k ringKeys) Signer() *auth.Key { return k.ring.Signer() }

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
