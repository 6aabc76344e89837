package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/keyset"
	"gatehouse/config"
)

// maxKeysAge is how long the keys of an issuer that cannot be reached are
// trusted: a night and a day of trouble there, and no longer than that where
// somebody keeps us from seeing that a key was withdrawn.
const maxKeysAge = 24 * time.Hour

// remotes are the keys of all issuers that publish theirs.
type remotes struct {
	*lasting[*keyset.Remote]
	store keyset.RingStore
	log   *slog.Logger
}

func newRemotes(store keyset.RingStore, log *slog.Logger) *remotes {
	return &remotes{newLasting[*keyset.Remote](), store, log}
}

// remote returns the keys of an issuer, those that are there if its
// configuration is the same, authorities included.
func (r *remotes) remote(c config.Issuer, t *tls.Config) (*keyset.Remote, error) {
	cfg := keyset.RemoteConfig{Issuer: c.Name, URL: c.JWKSURL, Algorithms: c.Algorithms, MaxStale: maxKeysAge, Store: r.store, TLS: t, Log: r.log}
	if c.Discovery {
		cfg.Discovery = c.Issuer
	}
	var authorities []byte
	if c.TLS.CAFile != "" {
		authorities, _ = c.TLS.CAFile.Read() // t was made of them
	}
	name := fmt.Sprintf("%q %q %q %q %q %x", cfg.Issuer, cfg.URL, cfg.Discovery, cfg.Algorithms, c.TLS, sha256.Sum256(authorities))
	return r.of(name, func() (*keyset.Remote, error) { return keyset.NewRemote(cfg) })
}

// load returns when each issuer that is not in force yet has been asked for its
// keys once. What fails is logged: it concerns that issuer alone.
func (r *remotes) load(ctx context.Context) {
	var asking sync.WaitGroup
	for _, remote := range r.fresh() {
		asking.Go(func() { remote.Load(ctx) })
	}
	asking.Wait()
}

// remoteKeys are the keys of an issuer that publishes some of them. Those of the
// configuration come first: nobody else can take their kids.
type remoteKeys struct {
	auth.Keys
	remote *keyset.Remote
}

// Find returns the key with that kid, nil when there is none.
func (k remoteKeys) Find(kid string) *auth.Key {
	if key := k.Keys.Find(kid); key != nil {
		return key
	}
	return k.remote.Find(kid)
}

// All returns the configuration's keys and the others.
func (k remoteKeys) All() []*auth.Key { return slices.Concat(k.Keys.All(), k.remote.All()) }

// Ready is false while the published keys cannot be had.
func (k remoteKeys) Ready() bool { return k.remote.Ready() && k.Keys.Ready() }

// published are the keys among those that their issuer publishes, nil when there
// are none.
func published(keys auth.Keys) *keyset.Remote {
	switch k := keys.(type) {
	case *auth.ClientKeys:
		return published(k.Keys)
	case ringKeys:
		return published(k.Keys)
	case remoteKeys:
		return k.remote
	}
	return nil
}
