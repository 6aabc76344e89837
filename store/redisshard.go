package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
)

// batch is how many entries are asked for at once.
const batch = 1000

// redisShard is a shard of the list. Each has an epoch and a log of its own,
// and in a cluster perhaps a server: it settles, is healed and has gaps by
// itself.
//
// Everybody must divide the list alike. So the number of shards is part of the
// epoch, with which it is lost if it is lost at all. That of the first shard
// counts; the others are begun anew where theirs is another.
type redisShard struct {
	*redisStore
	index int
	keys  redisKeys
}

var errEvicts = errors.New("this Redis drops entries when its memory is full " +
	"(maxmemory-policy allkeys-…), which would bring revoked tokens back; set its maxmemory-policy to noeviction")

// checkEviction returns errEvicts when the server may drop entries of ours.
// Any other error means that it did not say. INFO is asked, since CONFIG is
// often forbidden.
func (s *redisShard) checkEviction(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	master, _, err := s.master(ctx, s.keys.epoch)
	if err != nil {
		return err
	}
	info, err := master.Info(ctx, "memory").Result()
	if strings.Contains(info, "maxmemory_policy:allkeys-") {
		return fmt.Errorf("%w: %w", ErrUnavailable, errEvicts)
	}
	return s.failed(err)
}

func (s *redisShard) write(ctx context.Context, e revocation.Event) error {
	if s.index > 0 && !s.begun.Load() {
		if _, _, err := s.list[0].place(ctx); err != nil {
			return err
		}
	}
	if err := s.divided(); err != nil {
		return err
	}
	if err := s.writeEvent(ctx, e); err != nil {
		return err
	}
	// Who has handed everything over meanwhile may have missed this.
	return s.divided()
}

func (s *redisShard) writeEvent(ctx context.Context, e revocation.Event) error {
	n := len(s.list)
	if e.Op == revocation.Revoked {
		return s.writeEntries(ctx, s.keys, n, 0, e.Revocation)
	}
	script, args := scriptDeleteKey, []any{epochOf(n), streamRetention.Milliseconds()}
	sum := hex.EncodeToString(e.Key.SHA256[:])
	args = append(args, sum)
	if e.Op == revocation.KeyPut {
		record, err := encodeKey(e.Key)
		if err != nil {
			return err
		}
		script, args = scriptPutKey, append(args, record)
	}
	_, err := s.evalDurably(ctx, script, s.keys.all(), args...)
	return err
}

// Restore writes to where the entries belong, also when the list is divided
// otherwise than it was told to be.
func (s *redisShard) Restore(ctx context.Context, entries []auth.Revocation) error {
	other := s.other.Load()
	if other == nil {
		return s.writeEntries(ctx, s.keys, len(s.list), healingTime, entries...)
	}
	parts := make([][]auth.Revocation, other.Have)
	for _, e := range entries {
		i := revocation.ShardOf(e.Key(), other.Have)
		parts[i] = append(parts[i], e)
	}
	for i, part := range parts { // those without entries too: it announces some
		keys := keysOf(i)
		if i > 0 && len(entries) == 0 { // nobody else may have begun it yet
			_, err := s.eval(ctx, scriptPosition, keys.all(), epochOf(other.Have), settleTime.Milliseconds(), epochEnd(other.Have))
			if err != nil {
				return err
			}
		}
		if err := s.writeEntries(ctx, keys, other.Have, healingTime, part...); err != nil {
			return err
		}
	}
	return nil
}

// writeEntries runs scriptRevoke on a shard of n; more is for how long more are
// to be waited for.
func (s *redisShard) writeEntries(ctx context.Context, keys redisKeys, n int, more time.Duration, entries ...auth.Revocation) error {
	args := []any{epochOf(n), streamRetention.Milliseconds(), int(trimSlack.Seconds()), trimPerWrite, more.Milliseconds()}
	for _, e := range entries {
		args = append(args, revocationName(e), e.BeforeSeconds(), e.UntilSeconds())
	}
	_, err := s.evalDurably(ctx, scriptRevoke, keys.all(), args...)
	return err
}

func (s *redisShard) Snapshot(ctx context.Context, yield func(revocation.Event) error) (revocation.Position, error) {
	// Any other error comes back with what is asked next.
	if err := s.checkEviction(ctx); errors.Is(err, errEvicts) {
		return "", err
	}
	at, _, err := s.place(ctx)
	if err != nil {
		return "", err
	}
	err = s.scan(ctx, s.keys.apiKeys, func(sum, record string) error {
		k, err := parseKeyHex(sum, record)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return yield(revocation.Event{Op: revocation.KeyPut, Key: k})
	})
	if err != nil {
		return "", err
	}
	return at.position(), s.scan(ctx, s.keys.entries, func(name, times string) error {
		entry, err := parseRevocation(name, times)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return yield(revocation.Event{Op: revocation.Revoked, Revocation: entry})
	})
}

// scan yields a hash's fields and values. One that is there throughout comes
// at least once. The next page is under way while one is looked at.
func (s *redisShard) scan(ctx context.Context, key string, yield func(field, value string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	pages := make(chan page, 1)
	ask := func(cursor uint64) {
		ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		var p page
		p.pairs, p.next, p.err = s.client.HScan(ctx, key, cursor, "", batch).Result()
		pages <- p
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() { ask(0) })
	for {
		p := <-pages
		if p.err != nil {
			return s.failed(p.err)
		}
		if p.next != 0 {
			asking.Go(func() { ask(p.next) })
		}
		for i := 0; i+1 < len(p.pairs); i += 2 {
			if err := yield(p.pairs[i], p.pairs[i+1]); err != nil {
				return err
			}
		}
		if p.next == 0 {
			return nil
		}
	}
}

// page is a part of a hash: names and values in turn, and where the next begins.
type page struct {
	pairs []string
	next  uint64 // 0: there is none
	err   error
}
