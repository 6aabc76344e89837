package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"gatehouse/auth/revocation"
)

// redisStore is a store in Redis. It reads from masters only: a replica may be
// behind.
type redisStore struct {
	cfg    Config
	client redis.UniversalClient
	list   []*redisShard
	// other is set while the list is divided otherwise than Shards says, and
	// begun once it was seen that it is divided so.
	other atomic.Pointer[revocation.ShardsError]
	begun atomic.Bool
	// connections counts those that were made. Only by a new one can it come
	// to be another server that answers.
	connections atomic.Uint64
}

func openRedis(ctx context.Context, cfg Config) (backend, error) {
	r := &redisStore{cfg: cfg}
	if err := revocation.CheckShards(cfg.Shards); err != nil {
		return nil, err
	}
	for i := range cfg.Shards {
		r.list = append(r.list, &redisShard{redisStore: r, index: i, keys: keysOf(i)})
	}
	client, err := newClient(cfg, func(context.Context, *redis.Conn) error {
		r.connections.Add(1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.client = client
	if err := r.checkShards(ctx); errors.As(err, new(*revocation.ShardsError)) {
		return nil, errors.Join(err, client.Close())
	}
	if err := r.list[0].checkEviction(ctx); errors.Is(err, errEvicts) {
		return nil, errors.Join(err, client.Close())
	} else if reply := redis.Error(nil); errors.As(err, &reply) { // it answers; one that does not is asked again
		r.cfg.Log.Warn("store: Redis did not say what it does when its memory is full", "error", err)
	}
	return r, nil
}

func (r *redisStore) shards() (all []shard) {
	for _, s := range r.list {
		all = append(all, s)
	}
	return all
}

// master is a client of the server that has a key, and in a cluster the address
// of that.
func (r *redisStore) master(ctx context.Context, key string) (redis.UniversalClient, string, error) {
	cluster, ok := r.client.(*redis.ClusterClient)
	if !ok {
		return r.client, "", nil
	}
	c, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return nil, "", r.failed(err)
	}
	return c, c.Options().Addr, nil
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
	{"SHARDS", "the list is being divided into another number of shards; ask again"},
	{"CLUSTERDOWN", "the cluster is down"},
	{"tls: failed to verify certificate", "the server's certificate is not what store.tls asks for: see ca_file and server_name"},
	{"remote error: tls: certificate required", "the server asks for a certificate; set store.tls.cert_file and key_file"},
}

// failed puts ErrUnavailable around an error, and what to do about it.
func (r *redisStore) failed(err error) error {
	if err == nil {
		return nil
	}
	// Unless a node tells it otherwise, go-redis asks once a minute who has which
	// slots, and a dead node tells nothing.
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		cluster.ReloadState(context.Background()) // does not wait, and takes turns
	}
	for _, h := range redisHints {
		if strings.HasPrefix(err.Error(), h.prefix) {
			return fmt.Errorf("%w: %s: %w", ErrUnavailable, h.hint, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
