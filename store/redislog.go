package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/auth/revocation"
)

func (r *redisStore) Follow(ctx context.Context, from revocation.Position, yield func(revocation.Event) error) error {
	epoch, id, ok := strings.Cut(string(from), " ")
	if !ok {
		return revocation.ErrGap
	}
	for {
		asked := time.Now()
		entries, err := r.read(ctx, id)
		if err != nil {
			r.cfg.Observe("follow", time.Since(asked), err)
			return err
		}
		next := id
		for _, m := range entries {
			e, err := parseMessage(m)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			next, e.Position = m.ID, position(epoch, m.ID)
			if e.Op == 0 { // where a log begins
				continue
			}
			if err := yield(e); err != nil {
				return err
			}
		}
		checking := time.Now()
		err = r.check(ctx, epoch, id)
		r.cfg.Observe("follow", time.Since(checking), err)
		if err != nil {
			return err
		}
		// The server cannot have answered before it was asked, nor with
		// nothing before it had waited.
		if len(entries) == 0 {
			asked = asked.Add(r.cfg.PollEvery)
		}
		id = next
		current := revocation.Event{Op: revocation.Current, Time: asked, Position: position(epoch, id)}
		if err := yield(current); err != nil {
			return err
		}
	}
}

// read waits up to Config.PollEvery for what comes after the id.
func (r *redisStore) read(ctx context.Context, id string) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.PollEvery+r.cfg.Timeout)
	defer cancel()
	streams, err := r.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{r.keys.stream, id}, Count: batch, Block: r.cfg.PollEvery,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, r.failed(err)
	}
	return streams[0].Messages, nil
}

// check returns ErrGap unless the log is still the same and still holds the
// entry that was read from. Where that one is, nothing after it was trimmed;
// and a log that was set back, or lost its end in a failover, and grew again,
// does not have it.
func (r *redisStore) check(ctx context.Context, epoch, id string) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	pipe := r.client.Pipeline()
	now, there := pipe.Get(ctx, r.keys.epoch), pipe.XRange(ctx, r.keys.stream, id, id)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return r.failed(err)
	}
	if now.Val() != epoch || len(there.Val()) == 0 {
		return revocation.ErrGap
	}
	return nil
}

// parseMessage reads one entry of the log. Op is 0 where the log begins.
func parseMessage(m redis.XMessage) (e revocation.Event, err error) {
	field := func(name string) string { s, _ := m.Values[name].(string); return s }
	ms, _, _ := strings.Cut(m.ID, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return e, errors.New("the store's log holds an entry without a time")
	}
	e.Time = time.UnixMilli(n)
	switch {
	case field("revoked") != "":
		e.Op = revocation.Revoked
		e.Revocation, err = parseRevocation(field("revoked"), field("times"))
	case field("key_put") != "":
		e.Op = revocation.KeyPut
		e.Key, err = parseKeyHex(field("key_put"), field("record"))
	case field("key_deleted") != "":
		e.Op = revocation.KeyDeleted
		e.Key, err = parseKeyHex(field("key_deleted"), `{"id":"-"}`)
	case field("begun") == "":
		err = errors.New("the store's log holds an entry that cannot be read")
	}
	return e, err
}
