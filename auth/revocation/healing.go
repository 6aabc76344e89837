package revocation

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"gatehouse/auth"
)

const (
	// healBatch bounds how long the source is busy with one batch: some
	// milliseconds.
	healBatch = 500
	// healJitter spreads the replicas that have noticed the same loss, so that
	// most of them hear what others wrote back before they write it themselves.
	healJitter = 100 * time.Millisecond
)

// healing is the state of a feed that compares the mirror with what the source
// has, and writes back what that lacks, a batch at each beat.
type healing struct {
	stored  *Mirror // what the source has, as far as it was told
	shard   int     // to be compared next
	left    int     // shards to be compared
	wrote   int     // entries
	failing bool    // the last batch failed, and that was logged
}

// newHealing returns nil for a mirror that knows nothing. Each replica begins
// at another place, so that together they are through sooner.
func newHealing(m *Mirror) *healing {
	for _, n := range m.Len() {
		if n > 0 {
			return &healing{stored: NewMirror(MirrorConfig{}), shard: rand.IntN(shardCount), left: shardCount}
		}
	}
	return nil
}

// batch returns entries that the source lacks; none when it has all.
func (h *healing) batch(m *Mirror, now time.Time) []auth.Revocation {
	var entries []auth.Revocation
	for h.left > 0 {
		if entries = m.missing(h.stored, h.shard, entries, now); len(entries) == healBatch {
			break // there may be more in this shard
		}
		h.shard = (h.shard + 1) % shardCount
		h.left--
	}
	return entries
}

// missing appends entries in force of a shard that the other mirror lacks,
// until there are healBatch.
func (m *Mirror) missing(other *Mirror, shard int, entries []auth.Revocation, now time.Time) []auth.Revocation {
	there := other.shards[shard].table.Load()
	look := func(hi, lo, times uint64) bool {
		if uint32(times) > seconds(now) && !there.covers(hi, lo, times) {
			entries = append(entries, entryOf(hi, lo, times))
		}
		return len(entries) < healBatch
	}
	if t := m.shards[shard].table.Load(); t != nil {
		t.each(look)
	}
	if s := m.sieve.Load(); s != nil && len(entries) < healBatch {
		s.answers.ofShard(shard, look)
	}
	return entries
}

// announce tells the source that something is about to be written back, and
// gives others the time to do it first.
func (f *Feed) announce(ctx context.Context) {
	if f.healing == nil {
		return
	}
	began := *f.healing
	if len(began.batch(f.cfg.Mirror, time.Now())) == 0 {
		f.healing = nil
		return
	}
	if err := f.cfg.Source.Restore(ctx, nil); err == nil { // the first batch will tell
		wait(ctx, rand.N(healJitter))
	}
}

// heal writes the next batch back. A failure is no reason not to follow: the
// replica itself lacks nothing.
func (f *Feed) heal(ctx context.Context) {
	h := f.healing
	if h == nil {
		return
	}
	before := *h
	entries := h.batch(f.cfg.Mirror, time.Now())
	if len(entries) == 0 {
		f.healing = nil
		f.cfg.Log.Info("revocation list: the store has all again that this replica knows", "written", h.wrote)
		return
	}
	if h.wrote == 0 && !h.failing {
		f.cfg.Log.Warn("revocation list: the store has lost entries; writing back what this replica knows")
	}
	if err := f.cfg.Source.Restore(ctx, entries); err != nil {
		h.shard, h.left = before.shard, before.left
		level := slog.LevelError
		if h.failing || ctx.Err() != nil {
			level = slog.LevelDebug
		}
		h.failing = true
		f.cfg.Log.Log(ctx, level, "revocation list: cannot be written back, trying again", "error", err)
		return
	}
	h.failing = false
	h.wrote += len(entries)
	for _, e := range entries {
		h.stored.Put(e, time.Now())
	}
}

// handOver writes all that the mirror knows to where the list is kept now: in
// another number of shards, of which this process reads none. Those that do would
// otherwise miss what it alone may know. It is done once for each time that the
// list was begun; what fails is left for the next attempt.
func (f *Feed) handOver(ctx context.Context, to ShardsError) {
	if f.handed == to {
		return
	}
	f.healing = newHealing(f.cfg.Mirror)
	if f.healing != nil && f.cfg.Source.Restore(ctx, nil) != nil {
		return
	}
	for f.healing != nil {
		if f.heal(ctx); f.healing != nil && f.healing.failing {
			return
		}
	}
	f.handed = to
}
