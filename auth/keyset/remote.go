package keyset

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/outbound"
)

// RemoteConfig configures a [Remote]. All but TLS and Now must be set, and
// one of URL and Discovery.
type RemoteConfig struct {
	Issuer     string   // its configured name
	URL        string   // of its JSON Web Key Set: https, or http on loopback
	Discovery  string   // the tokens' `iss`, whose metadata name the URL
	Algorithms []string // that keys may be used with
	// MaxStale is how long keys are trusted after they were read last.
	MaxStale time.Duration
	// Store keeps the last good set for the next start. Whoever can write to it
	// can have keys trusted until the issuer answers: what is in it is no secret,
	// but must not be anybody's to change.
	Store RingStore
	TLS   *tls.Config // whom to believe; nil: the system's authorities
	Log   *slog.Logger
	Now   func() time.Time // nil: time.Now
}

// Remote is the keys of an issuer that publishes them at a URL. They are read
// again every few minutes, and early when a key is asked for that is not among
// them; no request ever waits for that. While they cannot be read the last set
// stays, until it is older than MaxStale. A set is replaced as a whole, and a
// key that is in both is the same value, so that what was verified with it
// stays verified.
//
// It implements [auth.Keys] without a lock. It knows no key before Load or Run.
// It knows nothing about a token without kid, which makes it read nothing early.
type Remote struct {
	cfg    RemoteConfig
	client *http.Client
	set    atomic.Pointer[remoteSet]
	asked  chan string // a kid that is not known; one stands for all

	claimed atomic.Bool   // somebody does the first reading
	tried   chan struct{} // closed when it has ended

	// What Run alone uses, after the first reading.
	pause   time.Duration // until the next reading
	backoff time.Duration // 0: the last reading was good
	early   time.Time     // of the last reading that was asked for
	unkept  bool          // the store could not be written last, which the log knows
}

// remoteSet is what requests see; it never changes.
type remoteSet struct {
	*auth.StaticKeys
	read    time.Time // when they were; without any ever, when the Remote was made
	skipped []string  // why others are not among them
}

var _ auth.Keys = (*Remote)(nil)

// NewRemote returns keys that are not known yet. It refuses a URL that is
// neither https nor on loopback: whoever can change the answer makes the keys.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.Issuer == "" || cfg.Store == nil || cfg.Log == nil || len(cfg.Algorithms) == 0:
		return nil, errors.New("remote keys: Issuer, Algorithms, Store and Log are needed")
	case (cfg.URL == "") == (cfg.Discovery == ""):
		return nil, errors.New("remote keys: one of URL and Discovery is needed")
	case cfg.MaxStale <= maxInterval:
		return nil, fmt.Errorf("remote keys: MaxStale must be above %s, since they are read that often", maxInterval)
	}
	if _, err := outbound.CheckURL(cfg.source()); err != nil {
		return nil, err
	}
	if _, err := metadataURLs(cfg.Discovery); cfg.Discovery != "" && err != nil {
		return nil, err
	}
	r := &Remote{cfg: cfg, client: outbound.NewClient(cfg.TLS, fetchTime, 1), asked: make(chan string, 1), tried: make(chan struct{})}
	r.set.Store(&remoteSet{StaticKeys: auth.NewStaticKeys(nil), read: cfg.Now()})
	return r, nil
}

// source is where the keys come from, as it is configured.
func (c *RemoteConfig) source() string { return c.URL + c.Discovery }

// Find returns the key with that kid, nil when there is none. Then the keys are
// read again soon, by Run.
func (r *Remote) Find(kid string) *auth.Key {
	s := r.set.Load()
	key := s.Find(kid)
	// While there are no keys at all, Run is after them anyway.
	if key == nil && kid != "" && len(s.All()) > 0 {
		select {
		case r.asked <- kid:
		default:
		}
	}
	return key
}

// All returns the keys, in the issuer's order.
func (r *Remote) All() []*auth.Key { return r.set.Load().All() }

// Signer returns nil: who signs with them is elsewhere.
func (r *Remote) Signer() *auth.Key { return nil }

// Ready is true while there are keys that are not too old.
func (r *Remote) Ready() bool { return len(r.All()) > 0 }

// Tried is true from when the first reading has ended, well or not.
func (r *Remote) Tried() bool {
	select {
	case <-r.tried:
		return true
	default:
		return false
	}
}

// Age is how long ago the keys were read; where they never were, for how long
// that has been so.
func (r *Remote) Age(now time.Time) time.Duration { return now.Sub(r.set.Load().read) }

// Skipped is how many keys of the set are left out: weak, malformed, or for
// another use.
func (r *Remote) Skipped() int { return len(r.set.Load().skipped) }

// Load reads the keys if nobody has tried to: from the store, then from the
// issuer. It waits for another who does. What fails is logged.
func (r *Remote) Load(ctx context.Context) {
	if !r.claimed.CompareAndSwap(false, true) {
		select {
		case <-r.tried:
		case <-ctx.Done():
		}
		return
	}
	defer close(r.tried)
	r.restore(ctx)
	r.refresh(ctx)
}

// adopt lets requests see the keys, which were read at that time.
func (r *Remote) adopt(keys []*auth.Key, skipped []error, read time.Time) {
	before := r.set.Load()
	var added, removed []string
	for i, k := range keys {
		if j := slices.IndexFunc(before.All(), func(old *auth.Key) bool { return sameKey(old, k) }); j >= 0 {
			keys[i] = before.All()[j]
		} else {
			added = append(added, k.ID)
		}
	}
	for _, old := range before.All() {
		if !slices.Contains(keys, old) {
			removed = append(removed, old.ID)
		}
	}
	after := &remoteSet{StaticKeys: auth.NewStaticKeys(keys), read: read, skipped: texts(skipped)}
	r.set.Store(after)
	if len(added)+len(removed) > 0 || !slices.Equal(before.skipped, after.skipped) {
		r.cfg.Log.Info("remote keys: the set has changed", "issuer", r.cfg.Issuer, "keys", len(keys),
			"added", added, "removed", removed, "left_out", len(skipped), "why", after.skipped[:min(len(skipped), 5)])
	}
}

func texts(errs []error) []string {
	all := make([]string, 0, len(errs))
	for _, err := range errs {
		all = append(all, err.Error())
	}
	return all
}

// sameKey reports whether two keys verify the same in every respect.
func sameKey(a, b *auth.Key) bool {
	public, ok := a.Public().(interface{ Equal(x crypto.PublicKey) bool })
	return ok && a.ID == b.ID && a.Algorithm == b.Algorithm && public.Equal(b.Public())
}
