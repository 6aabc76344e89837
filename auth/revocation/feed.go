package revocation

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"gatehouse/auth"
)

const (
	minPause   = 20 * time.Millisecond  // after the first failure
	maxPause   = 250 * time.Millisecond // bounds how long the feed is behind after the store is back
	heldFor    = time.Second            // after that long, a failure is not one more in a row
	sweepEvery = time.Second
	sweepPart  = 8 // shards at a time: all of them in half a minute
)

// Feed keeps a [Mirror] and the stored API keys as a [Source] tells them.
type Feed struct {
	cfg      FeedConfig
	position Position // to follow from; empty: a snapshot is needed
	healing  *healing // nil: there is nothing to write back
	swept    time.Time
	doubt    doubt
	failing  bool        // the last attempt failed, and that was logged
	settling bool        // the source is, and that was logged
	handed   ShardsError // what everything was handed over for; zero: it was not
}

// FeedConfig configures a [Feed]. All but Mirrors and Propagation must be set.
type FeedConfig struct {
	Source Source
	Mirror *Mirror
	// Mirrors are all of a list in several shards, Mirror among them: an entry
	// that a source tells goes to where it is looked up, also when it was written
	// while there were fewer shards. Nil: Mirror is the list.
	Mirrors Mirrors
	Keys    *auth.StoredAPIKeys // written by this feed alone
	Log     *slog.Logger
	// Propagation is told how long an entry took from the store to here, by
	// the two clocks. It may be nil.
	Propagation func(time.Duration)
}

// NewFeed returns a feed; Run starts it.
func NewFeed(cfg FeedConfig) (*Feed, error) {
	if cfg.Source == nil || cfg.Mirror == nil || cfg.Keys == nil || cfg.Log == nil {
		return nil, errors.New("revocation feed: Source, Mirror, Keys and Log are needed")
	}
	if cfg.Propagation == nil {
		cfg.Propagation = func(time.Duration) {}
	}
	var asked Confirmer = cfg.Source
	cfg.Mirror.source.Store(&asked)
	return &Feed{cfg: cfg}, nil
}

// Run reads a snapshot, follows, and begins again when that fails, until ctx
// is done; then it returns nil. A source that fails is not an error here: the
// mirror's age tells.
func (f *Feed) Run(ctx context.Context) error {
	pause := minPause
	for ctx.Err() == nil {
		began := time.Now()
		err := f.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errOutgrown) {
			f.position = ""
			continue
		}
		if errors.Is(err, ErrGap) {
			f.position = ""
			f.cfg.Log.Warn("revocation list: reading all of it again", "reason", err)
		} else if !f.failing {
			f.failing = true
			f.cfg.Log.Error("revocation list: cannot be kept up to date, trying again", "error", err)
		}
		if time.Since(began) > heldFor {
			pause = minPause
		}
		wait(ctx, pause/2+rand.N(pause/2+1))
		pause = min(2*pause, maxPause)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// once reads and follows until that ends.
func (f *Feed) once(ctx context.Context) error {
	err := f.follow(ctx)
	if other := (*ShardsError)(nil); errors.As(err, &other) {
		f.position = ""
		f.handOver(ctx, *other)
	}
	return err
}

// follow reads a snapshot if there is no position, and follows until that ends.
func (f *Feed) follow(ctx context.Context) error {
	if f.position == "" {
		if err := f.snapshot(ctx); err != nil {
			return err
		}
		f.announce(ctx)
	}
	return f.cfg.Source.Follow(ctx, f.position, func(e Event) error { return f.apply(ctx, e) })
}

// snapshot fills the mirror and the keys. Entries that the source no longer
// has stay in the mirror, since what was revoked once is never valid again, and
// are to be written back; keys that it no longer has are gone.
func (f *Feed) snapshot(ctx context.Context) error {
	began := time.Now()
	var keys []auth.APIKey
	entries := 0
	f.healing = newHealing(f.cfg.Mirror)
	f.doubt.begin(f.cfg.Mirror)
	position, err := f.cfg.Source.Snapshot(ctx, func(e Event) error {
		switch e.Op {
		case Revoked:
			entries++
			f.put(e.Revocation, time.Now(), false)
		case KeyPut:
			keys = append(keys, e.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.cfg.Keys.Replace(keys)
	f.position = position
	f.read(ctx, position)
	f.cfg.Log.Info("revocation list: read",
		"entries", entries, "api_keys", len(keys), "duration_ms", time.Since(began).Milliseconds())
	return nil
}

// put takes an entry that the source has.
func (f *Feed) put(r auth.Revocation, now time.Time, news bool) {
	m := f.cfg.Mirror
	if f.cfg.Mirrors != nil {
		m = f.cfg.Mirrors.Of(r.Key())
	}
	m.put(r, now, news)
	if f.healing != nil && m.knows(r) {
		f.healing.stored.Put(r, now)
	}
}

// apply takes one event while following.
func (f *Feed) apply(ctx context.Context, e Event) error {
	now := time.Now()
	f.position = e.Position
	switch e.Op {
	case Revoked:
		f.put(e.Revocation, now, true)
	case KeyPut:
		f.cfg.Keys.Put(e.Key)
	case KeyDeleted:
		f.cfg.Keys.Delete(e.Key.SHA256)
	case Current, Settling:
		whole := f.beat(e)
		f.sweep(now)
		f.heal(ctx)
		if whole {
			return f.trust(ctx, e.Position, now)
		}
		return nil
	}
	f.cfg.Propagation(max(0, now.Sub(e.Time)))
	return nil
}

// beat notes how whole the list is, and reports whether the source settled. One
// that never was whole waits for what others still write back.
func (f *Feed) beat(e Event) (whole bool) {
	if e.Op == Settling || e.Healing && !f.cfg.Mirror.Complete() {
		if !f.settling {
			f.settling = true
			f.cfg.Log.Info("revocation list: waiting for what other replicas may still know; the store is new, or was lost or replaced")
		}
		return false
	}
	f.cfg.Mirror.Current(e.Time)
	if f.failing || f.settling {
		f.failing, f.settling = false, false
		f.cfg.Log.Info("revocation list: up to date again")
	}
	return true
}

func (f *Feed) sweep(now time.Time) {
	if now.Sub(f.swept) >= sweepEvery {
		f.swept = now
		f.cfg.Mirror.Sweep(sweepPart, now)
	}
}
