package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
)

// batch is how many entries are asked for at once.
const batch = 1000

// redisStore is a store in Redis. It reads from masters only: a replica may be
// behind.
type redisStore struct {
	cfg    Config
	client redis.UniversalClient
	keys   redisKeys
	// connections counts those that were made. Only by a new one can it come
	// to be another server that answers.
	connections atomic.Uint64
}

func openRedis(ctx context.Context, cfg Config) (backend, error) {
	r := &redisStore{cfg: cfg, keys: keysOf(0)}
	client, err := newClient(cfg, func(context.Context, *redis.Conn) error {
		r.connections.Add(1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.client = client
	if err := r.checkEviction(ctx); errors.Is(err, errEvicts) {
		return nil, errors.Join(err, client.Close())
	} else if reply := redis.Error(nil); errors.As(err, &reply) { // it answers; one that does not is asked again
		r.cfg.Log.Warn("store: Redis did not say what it does when its memory is full", "error", err)
	}
	return r, nil
}

var errEvicts = errors.New("this Redis drops entries when its memory is full " +
	"(maxmemory-policy allkeys-…), which would bring revoked tokens back; set its maxmemory-policy to noeviction")

// checkEviction returns errEvicts when the server may drop entries of ours.
// Any other error means that it did not say. INFO is asked, since CONFIG is
// often forbidden.
func (r *redisStore) checkEviction(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	info, err := r.client.Info(ctx, "memory").Result()
	if strings.Contains(info, "maxmemory_policy:allkeys-") {
		return fmt.Errorf("%w: %w", ErrUnavailable, errEvicts)
	}
	return r.failed(err)
}

func (r *redisStore) write(ctx context.Context, e revocation.Event) error {
	if e.Op == revocation.Revoked {
		return r.writeEntries(ctx, 0, e.Revocation)
	}
	script, args := scriptDeleteKey, []any{rand.Text(), streamRetention.Milliseconds()}
	sum := hex.EncodeToString(e.Key.SHA256[:])
	args = append(args, sum)
	if e.Op == revocation.KeyPut {
		record, err := encodeKey(e.Key)
		if err != nil {
			return err
		}
		script, args = scriptPutKey, append(args, record)
	}
	_, err := r.evalDurably(ctx, script, r.keys.all(), args...)
	return err
}

func (r *redisStore) Restore(ctx context.Context, entries []auth.Revocation) error {
	return r.writeEntries(ctx, healingTime, entries...)
}

// writeEntries runs scriptRevoke; more is for how long more are to be waited
// for.
func (r *redisStore) writeEntries(ctx context.Context, more time.Duration, entries ...auth.Revocation) error {
	args := []any{rand.Text(), streamRetention.Milliseconds(), int(trimSlack.Seconds()), trimPerWrite, more.Milliseconds()}
	for _, e := range entries {
		args = append(args, revocationName(e), e.BeforeSeconds(), e.UntilSeconds())
	}
	_, err := r.evalDurably(ctx, scriptRevoke, r.keys.all(), args...)
	return err
}

// eval runs a script in one round trip. Its reply is an array of strings.
func (r *redisStore) eval(ctx context.Context, script string, keys []string, args ...any) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	reply, err := r.client.Eval(ctx, script, keys, args...).StringSlice()
	return reply, r.failed(err)
}

// evalDurably runs a script, and then waits until as many replicas have what it
// wrote as was asked for.
func (r *redisStore) evalDurably(ctx context.Context, script string, keys []string, args ...any) (reply []string, err error) {
	if r.cfg.WaitReplicas <= 0 {
		return r.eval(ctx, script, keys, args...)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout+r.cfg.WaitTimeout)
	defer cancel()
	// WAIT counts from the last reply on its own connection. Watch lends one,
	// to the node that has the keys.
	err = r.client.Watch(ctx, func(tx *redis.Tx) error {
		if reply, err = tx.Eval(ctx, script, keys, args...).StringSlice(); err != nil {
			return err
		}
		n, err := tx.Wait(ctx, r.cfg.WaitReplicas, r.cfg.WaitTimeout).Result()
		if err == nil && n < int64(r.cfg.WaitReplicas) {
			return fmt.Errorf("%d of %d replicas acknowledged the write within %s", n, r.cfg.WaitReplicas, r.cfg.WaitTimeout)
		}
		return err
	}, keys[0])
	return reply, r.failed(err)
}

func (r *redisStore) Snapshot(ctx context.Context, yield func(revocation.Event) error) (revocation.Position, error) {
	// Any other error comes back with what is asked next.
	if err := r.checkEviction(ctx); errors.Is(err, errEvicts) {
		return "", err
	}
	at, _, err := r.place(ctx)
	if err != nil {
		return "", err
	}
	err = r.scan(ctx, r.keys.apiKeys, func(sum, record string) error {
		k, err := parseKeyHex(sum, record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return yield(revocation.Event{Op: revocation.KeyPut, Key: k})
	})
	if err != nil {
		return "", err
	}
	return at.position(), r.scan(ctx, r.keys.entries, func(name, times string) error {
		entry, err := parseRevocation(name, times)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return yield(revocation.Event{Op: revocation.Revoked, Revocation: entry})
	})
}

// scan yields a hash's fields and values. One that is there throughout comes
// at least once.
func (r *redisStore) scan(ctx context.Context, key string, yield func(field, value string) error) error {
	page := func(cursor uint64) ([]string, uint64, error) {
		ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
		defer cancel()
		return r.client.HScan(ctx, key, cursor, "", batch).Result()
	}
	for cursor := uint64(0); ; {
		pairs, next, err := page(cursor)
		if err != nil {
			return r.failed(err)
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			if err := yield(pairs[i], pairs[i+1]); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (r *redisStore) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	return r.failed(r.client.Ping(ctx).Err())
}

func (r *redisStore) close() error { return r.client.Close() }

const hintRights = "the user in store.url lacks a right; the rights needed are in the package doc of store"

// redisHints say what to do about what Redis answers, by how that begins.
var redisHints = []struct{ prefix, hint string }{
	{"NOAUTH", "store.url needs a user and password"},
	{"ERR Protocol error: unauthenticated", "store.url needs a user and password"},
	{"WRONGPASS", "the user or password in store.url is wrong"},
	{"NOPERM", hintRights},
	{"ERR The user executing the script can't run", hintRights},
	{"READONLY", "this server is a replica; store.url must name the master, or use redis+sentinel://"},
	{"LOADING", "the server is still loading its data"},
	{"OOM", "the server's memory is full; raise maxmemory"},
	{"MISCONF", "the server cannot write to its disk"},
	{"NOREPLICAS", "the server has too few replicas (min-replicas-to-write)"},
	{"MASTERDOWN", "the server has lost its master"},
	{"CLUSTERDOWN", "the cluster is down"},
}

// failed puts ErrUnavailable around an error, and what to do about it.
func (r *redisStore) failed(err error) error {
	if err == nil {
		return nil
	}
	for _, h := range redisHints {
		if strings.HasPrefix(err.Error(), h.prefix) {
			return fmt.Errorf("%w: %s: %w", ErrUnavailable, h.hint, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
