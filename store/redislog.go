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

// place is a place in the log.
type place struct {
	epoch string
	run   string // id of the server's run
	id    string
}

func (p place) position() revocation.Position {
	return revocation.Position(p.epoch + " " + p.run + " " + p.id)
}

func parsePosition(at revocation.Position) (p place, ok bool) {
	parts := strings.Split(string(at), " ")
	if len(parts) != 3 {
		return p, false
	}
	return place{parts[0], parts[1], parts[2]}, true
}

// place is that of the log's last entry. Settling is for how long the list is.
func (s *redisShard) place(ctx context.Context) (p place, settling time.Duration, err error) {
	end := "" // that of the first shard is as it is
	if s.index > 0 {
		if _, _, err := s.list[0].place(ctx); err != nil {
			return p, 0, err
		}
		end = epochEnd(len(s.list))
	}
	reply, err := s.eval(ctx, scriptPosition, s.keys.all(), epochOf(len(s.list)), settleTime.Milliseconds(), end)
	if err != nil {
		return p, 0, err
	}
	if s.index == 0 {
		if err := s.noteShards(reply[0]); err != nil {
			return p, 0, err
		}
	}
	ms, err := strconv.ParseInt(reply[3], 10, 64)
	return place{reply[0], reply[1], reply[2]}, time.Duration(ms) * time.Millisecond, err
}

func (s *redisShard) Follow(ctx context.Context, from revocation.Position, yield func(revocation.Event) error) error {
	f := follower{redisShard: s, block: -1}
	var ok bool
	if f.at, ok = parsePosition(from); !ok {
		return revocation.ErrGap
	}
	for {
		if err := f.round(ctx, yield); err != nil {
			return err
		}
	}
}

// follower is one call of Follow.
type follower struct {
	*redisShard
	at      place
	block   time.Duration // how long to wait for something to come; negative: not at all
	known   link          // when the server was last asked who it is; zero: never
	settled time.Time     // when the list is
}

// link is by what a server is reached. While it is the same, so is the server.
type link struct {
	connections uint64
	master      string // its address in a cluster, where a connection to the next one may be there already
}

// round reads what has come, and tells it and how whole the list is.
func (f *follower) round(ctx context.Context, yield func(revocation.Event) error) error {
	asked := time.Now()
	entries, err := f.read(ctx)
	if err != nil {
		f.cfg.Observe("follow", time.Since(asked), err)
		return err
	}
	if err := f.divided(); err != nil {
		return err
	}
	next := f.at
	for _, m := range entries {
		e, err := parseMessage(m)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		next.id = m.ID
		e.Position = next.position()
		if e.Op == 0 { // where a log begins
			continue
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	checking := time.Now()
	healing, err := f.check(ctx)
	f.cfg.Observe("follow", time.Since(checking), err)
	if err != nil {
		return err
	}
	// The server cannot have answered before it was asked, nor with nothing
	// before it had waited.
	if len(entries) == 0 {
		asked = asked.Add(max(f.block, 0))
	}
	f.at, f.block = next, f.cfg.PollEvery
	beat := revocation.Event{Op: revocation.Current, Time: asked, Healing: healing, Position: next.position()}
	if settling := time.Until(f.settled); settling > 0 {
		beat.Op = revocation.Settling
		f.block = min(f.block, settling+time.Millisecond) // 0 would be for ever
	}
	if len(entries) == batch { // there may be more, from before it was asked
		return nil
	}
	return yield(beat)
}

// read reads what comes after the place, and waits for it as long as block
// says.
func (f *follower) read(ctx context.Context) ([]redis.XMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, max(f.block, 0)+f.cfg.Timeout)
	defer cancel()
	streams, err := f.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{f.keys.stream, f.at.id}, Count: batch, Block: f.block,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, f.failed(err)
	}
	return streams[0].Messages, nil
}

// check returns ErrGap unless the log is still the same, at the same server,
// and still holds the entry that was read from. Where that one is, nothing
// after it was trimmed; and a log that was set back, or lost its end in a
// failover, and grew again, does not have it. Another server may lack what
// nobody has read yet, even so. Healing is whether entries are being written
// back.
func (f *follower) check(ctx context.Context) (healing bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	pipe := f.client.Pipeline()
	epoch, there := pipe.Get(bounded, f.keys.epoch), pipe.XRange(bounded, f.keys.stream, f.at.id, f.at.id)
	mark := pipe.Get(bounded, f.keys.healing)
	if _, err := pipe.Exec(bounded); err != nil && !errors.Is(err, redis.Nil) {
		return false, f.failed(err)
	}
	if epoch.Val() != f.at.epoch || len(there.Val()) == 0 {
		return false, revocation.ErrGap
	}
	_, master, err := f.master(bounded, f.keys.epoch)
	if err != nil {
		return false, err
	}
	if now := (link{f.connections.Load(), master}); now != f.known {
		at, settling, err := f.place(ctx)
		if err != nil {
			return false, err
		}
		if at.run != f.at.run {
			return false, revocation.ErrGap
		}
		f.known, f.settled = now, time.Now().Add(settling)
	}
	return mark.Val() != "", nil
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
