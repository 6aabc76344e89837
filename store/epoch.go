package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"gatehouse/auth/revocation"
)

// epochOf returns a name for a list that is begun in n shards, such as NAME/4.
func epochOf(n int) string { return rand.Text() + epochEnd(n) }

// epochEnd is empty for one shard: there was a time when there could not be more.
func epochEnd(n int) string {
	if n == 1 {
		return ""
	}
	return "/" + strconv.Itoa(n)
}

// shardsOf reads what epochOf has written.
func shardsOf(epoch string) (int, error) {
	_, end, found := strings.Cut(epoch, "/")
	if !found {
		return 1, nil
	}
	n, err := strconv.Atoi(end)
	if err == nil {
		err = revocation.CheckShards(n)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: the epoch of its list cannot be read, want NAME or NAME/N: %w", ErrUnavailable, err)
	}
	return n, nil
}

// noteShards takes in what the first shard's epoch says.
func (r *redisStore) noteShards(epoch string) error {
	n, err := shardsOf(epoch)
	if err != nil {
		return err
	}
	if n != len(r.list) {
		r.other.Store(&revocation.ShardsError{Have: n, Want: len(r.list), Epoch: epoch})
		return r.divided()
	}
	r.other.Store(nil)
	r.begun.Store(true)
	return nil
}

// divided returns a ShardsError while the list is known to be divided otherwise
// than it was told to be.
func (r *redisStore) divided() error {
	if other := r.other.Load(); other != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, other)
	}
	return nil
}

// checkShards is divided for a list of which nothing is known yet. It writes
// nothing; a list that has not begun is no error.
func (r *redisStore) checkShards(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	epoch, err := r.client.Get(ctx, r.list[0].keys.epoch).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return r.failed(err)
	}
	return r.noteShards(epoch)
}
