package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/auth/token"
)

// ErrUnavailable is in every error that means that the store cannot be had
// now: nothing is wrong with what was asked, and asking again is safe.
var ErrUnavailable = errors.New("the store is unavailable")

// ErrInvalid is in every error that means that what was asked can never be
// stored.
var ErrInvalid = errors.New("not an entry that can be stored")

const (
	// maxTTL bounds how long an entry is kept: what auth makes at most, whose
	// end is rounded up. Times are kept as 32-bit seconds, so none outlasts
	// the year 2105 anyway.
	maxTTL = auth.MaxRevocationTTL + time.Minute
	// maxIDBytes is more than an id in a token that is accepted can have.
	maxIDBytes = 16 << 10
	// maxNameBytes is for ids and names that people choose.
	maxNameBytes = 1 << 10
)

// Store is a store that was opened. All methods may be called at once. What a
// write returned nil for is durable: on disk in a file, in the memory of the
// server (and of as many replicas as was asked for) in Redis. A write that
// failed may have happened, and is safe to repeat.
type Store struct {
	backend backend
	sources []revocation.Source
	observe func(operation string, took time.Duration, err error)
}

// backend is what the stores differ in. Its errors but for ErrGap and those of
// a yield carry ErrUnavailable, or are token.ErrNoSession or ErrConflict.
type backend interface {
	shards() []shard // of the list; the first has the API keys
	token.Sessions
	token.SessionEnder
	token.Limiter
	keyrings
	// sessions returns at most maxListed, of those that are not over, in any order.
	sessions(ctx context.Context, issuer, subject string) ([]token.Session, error)
	ping(context.Context) error
	close() error
}

// Config configures a [Store].
type Config struct {
	// URL says which: file:PATH, memory:, redis://, redis+sentinel://,
	// redis+cluster://, or these with rediss for TLS.
	URL string
	// TLS is for rediss. Nil: the authorities of the system, no certificate of
	// our own, and the host as the server's name.
	TLS *tls.Config
	// Own makes this the process that owns the file: it waits some seconds for
	// one that is about to end, and serves others through a socket. Without,
	// a file that another process owns is worked on through that process.
	Own bool
	// Timeout bounds each exchange with Redis. Zero: 200 ms.
	Timeout time.Duration
	// Shards is in how many the list is kept in Redis: 1, 2, 4 and so on up to
	// [revocation.MaxShards]; zero: 1. All who use it must be told the same. A file
	// has one.
	Shards int
	// PollEvery is how long a follower of Redis waits for something to come
	// before it says that nothing did; zero: 500 ms. The age of a list that is
	// followed stays below twice that and a round trip.
	PollEvery time.Duration
	// WaitReplicas is how many Redis replicas must have a write before it is
	// acknowledged; zero: none. They are given WaitTimeout; zero: 100 ms.
	WaitReplicas int
	WaitTimeout  time.Duration
	// Observe is told how each operation went; it may be nil. The operation is
	// one of Operations, the error nil unless the store failed.
	Observe func(operation string, took time.Duration, err error)
	// Log may be nil.
	Log *slog.Logger
}

// Operations returns every operation that Observe is told of. "follow" is one
// round of following a log, less the time spent waiting for something to come.
func Operations() []string {
	return []string{
		"revoke", "restore", "confirm", "vouch", "revocations", "key_put", "key_delete", "keys", "snapshot", "follow", "ping",
		"session_put", "session", "session_rotate", "session_end", "sessions",
		"login_take", "login_return", "keyring", "keyring_put",
	}
}

// Open opens the store. A Redis that does not answer is no error: whoever
// follows it keeps trying, and nothing is ready until it answers. One that
// answers and would lose entries is.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 200 * time.Millisecond
	}
	if cfg.Shards == 0 {
		cfg.Shards = 1
	}
	if cfg.PollEvery <= 0 {
		cfg.PollEvery = 500 * time.Millisecond
	}
	if cfg.WaitTimeout <= 0 {
		cfg.WaitTimeout = 100 * time.Millisecond
	}
	cfg.Observe = storeFailures(cfg.Observe)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b, err := openBackend(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{backend: b, observe: cfg.Observe}
	for _, each := range b.shards() {
		s.sources = append(s.sources, &source{store: s, shard: each})
	}
	return s, nil
}

// storeFailures hides the errors that are not the store's from an observer:
// callers that gave up, a log to be read anew.
func storeFailures(observe func(string, time.Duration, error)) func(string, time.Duration, error) {
	return func(operation string, took time.Duration, err error) {
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, context.Canceled) {
			err = nil
		}
		if observe != nil {
			observe(operation, took, err)
		}
	}
}

// CheckURL returns what is wrong with a URL, as far as that can be known without
// opening the store.
func CheckURL(raw string) error {
	scheme, rest, _ := strings.Cut(raw, ":")
	if redisSchemes[scheme] != (redisScheme{}) {
		_, err := redisOptions(raw)
		return err
	}
	if scheme == "memory" && rest == "" || scheme == "file" && strings.Trim(rest, "/") != "" {
		return nil
	}
	return errScheme
}

// errScheme does not repeat the URL, which may hold a password.
var errScheme = errors.New("store.url: want file:PATH, memory:, redis://[user:pass@]host:6379/0, rediss://…, " +
	"redis+sentinel://h1:26379,h2:26379/0?master=NAME or redis+cluster://h1:6379,h2:6379")

func openBackend(ctx context.Context, cfg Config) (backend, error) {
	scheme, rest, _ := strings.Cut(cfg.URL, ":")
	switch {
	case cfg.URL == "memory:":
		return openMemory()
	case scheme == "file" && strings.Trim(rest, "/") != "":
		return openFile(ctx, strings.TrimPrefix(rest, "//"), cfg)
	case redisSchemes[scheme] != redisScheme{}:
		return openRedis(ctx, cfg)
	}
	return nil, errScheme
}

// Close ends all that goes on in the store.
func (s *Store) Close() error { return s.backend.close() }

// Ping asks the store whether it is there.
func (s *Store) Ping(ctx context.Context) error {
	return s.observed("ping", func() error { return s.backend.ping(ctx) })
}

// Revoke adds an entry to the revocation list. One that is there already
// covers from then on what either covers. The error carries ErrInvalid or
// ErrUnavailable; after the latter the entry may or may not be in the list.
func (s *Store) Revoke(ctx context.Context, r auth.Revocation) error {
	if err := validateRevocation(r, time.Now()); err != nil {
		return err
	}
	return s.observed("revoke", func() error {
		all := s.backend.shards()
		return all[revocation.ShardOf(r.Key(), len(all))].write(ctx, revocation.Event{Op: revocation.Revoked, Revocation: r})
	})
}

func validateRevocation(r auth.Revocation, now time.Time) error {
	switch {
	case !r.Kind.Valid():
		return fmt.Errorf("%w: unknown kind of revocation", ErrInvalid)
	case r.ByKey.Valid() && r.ID == "" && r.Issuer == "":
	case r.ByKey != auth.RevocationKey{}:
		return fmt.Errorf("%w: an entry has either a name or a key, and the key 125 bits", ErrInvalid)
	case r.ID == "" || len(r.ID) > maxIDBytes:
		return fmt.Errorf("%w: the id must have 1 to %d bytes", ErrInvalid, maxIDBytes)
	case r.Kind.Scoped() && (r.Issuer == "" || len(r.Issuer) > maxNameBytes):
		return fmt.Errorf("%w: a revocation of kind %s needs the name of the issuer", ErrInvalid, r.Kind)
	case !r.Kind.Scoped() && r.Issuer != "":
		return fmt.Errorf("%w: a revocation of kind %s belongs to no issuer", ErrInvalid, r.Kind)
	}
	return validateEnd(r.Until, now)
}

func validateEnd(end, now time.Time) error {
	switch ttl := end.Sub(now); {
	case ttl <= 0:
		return fmt.Errorf("%w: its end is not in the future", ErrInvalid)
	case ttl > maxTTL:
		return fmt.Errorf("%w: its end is more than a hundred years off", ErrInvalid)
	}
	return nil
}

// Revocations tells the entries in force, in no particular order.
func (s *Store) Revocations(ctx context.Context, yield func(auth.Revocation) error) error {
	now := time.Now()
	return s.observed("revocations", func() error {
		for _, each := range s.backend.shards() {
			_, err := each.Snapshot(ctx, func(e revocation.Event) error {
				if e.Op != revocation.Revoked || !e.Revocation.Until.After(now) {
					return nil
				}
				return yield(e.Revocation)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// PutAPIKey adds a key, or replaces the one with the same hash. Several may
// share an id. One that was revoked is refused with auth.ErrAPIKeyRevoked.
func (s *Store) PutAPIKey(ctx context.Context, k auth.APIKey) error {
	if k.ID == "" || len(k.ID) > maxNameBytes {
		return fmt.Errorf("%w: the id of an API key must have 1 to %d bytes", ErrInvalid, maxNameBytes)
	}
	if k.Routes != nil && (len(k.Routes) == 0 || slices.Contains(k.Routes, "")) {
		return fmt.Errorf("%w: the API key opens no route; leave the routes out to open all", ErrInvalid)
	}
	if _, err := encodeKey(k); err != nil {
		return fmt.Errorf("%w: the API key's end must be before the year 10000", ErrInvalid)
	}
	revoked := auth.NewRevocationKey(auth.KindAPIKey, "", k.ID)
	errRevoked := fmt.Errorf("%w: %w", ErrInvalid, auth.ErrAPIKeyRevoked)
	err := s.Revocations(ctx, func(r auth.Revocation) error {
		if r.Key() == revoked {
			return errRevoked
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.observed("key_put", func() error {
		return s.backend.shards()[0].write(ctx, revocation.Event{Op: revocation.KeyPut, Key: k})
	})
}

// DeleteAPIKey removes the key with that hash, if there is one.
func (s *Store) DeleteAPIKey(ctx context.Context, sum [32]byte) error {
	return s.observed("key_delete", func() error {
		return s.backend.shards()[0].write(ctx, revocation.Event{Op: revocation.KeyDeleted, Key: auth.APIKey{SHA256: sum}})
	})
}

// APIKeys returns the stored keys, also those that have expired, in no
// particular order.
func (s *Store) APIKeys(ctx context.Context) ([]auth.APIKey, error) {
	var keys []auth.APIKey
	errEnough := errors.New("no more keys") // they come first in a snapshot
	err := s.observed("keys", func() error {
		_, err := s.backend.shards()[0].Snapshot(ctx, func(e revocation.Event) error {
			if e.Op != revocation.KeyPut {
				return errEnough
			}
			keys = append(keys, e.Key)
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	return keys, err
}

// Sources are the shards of the list, each to be followed by itself. The first
// has the stored API keys as well. Yield must not call the store.
func (s *Store) Sources() []revocation.Source { return s.sources }

func (s *Store) observed(operation string, do func() error) error {
	began := time.Now()
	err := do()
	s.observe(operation, time.Since(began), err)
	return err
}
