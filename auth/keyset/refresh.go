package keyset

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How often remote keys are read.
const (
	minInterval = time.Minute     // whatever the answer's headers say
	maxInterval = 5 * time.Minute // likewise, and without any
	minRetry    = time.Second     // after the first failure; then twice as long each time
	maxRetry    = 30 * time.Second
	earlyEvery  = 30 * time.Second // least time between readings that tokens cause
)

// Run keeps the keys until ctx is done; then it returns nil.
func (r *Remote) Run(ctx context.Context) error {
	r.Load(ctx)
	for {
		r.keep(ctx)
		if !r.wait(ctx) {
			return nil
		}
		r.refresh(ctx)
	}
}

// wait returns true when the keys are to be read, false when ctx is done. A key
// that is asked for makes that early, once in earlyEvery: the claim is made here,
// before the reading and whatever comes of it, so that nobody can make us hammer
// the issuer.
func (r *Remote) wait(ctx context.Context) bool {
	due := time.After(r.pause)
	again := time.After(earlyEvery - r.cfg.Now().Sub(r.early))
	var asked chan string // nil, which is never ready, until then
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due:
			return true
		case <-again:
			asked = r.asked
		case kid := <-asked:
			// It may have come with the last reading.
			if r.set.Load().Find(kid) == nil {
				r.early = r.cfg.Now()
				return true
			}
		}
	}
}

// refresh reads the keys once and says when to do so next. A reading by which
// nothing could be verified changes nothing.
func (r *Remote) refresh(ctx context.Context) {
	began := r.cfg.Now()
	keys, skipped, life, err := r.fetch(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		r.failed(err)
		return
	}
	if r.backoff > 0 {
		r.cfg.Log.Info("remote keys: read again", "issuer", r.cfg.Issuer)
	}
	r.adopt(keys, skipped, began)
	r.backoff, r.pause = 0, jittered(life)
}

// failed notes why a reading failed, and ends the trust in keys that are too
// old.
func (r *Remote) failed(err error) {
	if r.backoff == 0 {
		r.cfg.Log.Error("remote keys: cannot be read, trying again", "issuer", r.cfg.Issuer, "url", r.cfg.source(), "error", err)
	}
	r.backoff = min(max(2*r.backoff, minRetry), maxRetry)
	r.pause = jittered(r.backoff)
	s := r.set.Load()
	left := s.read.Add(r.cfg.MaxStale).Sub(r.cfg.Now())
	switch {
	case !r.Ready():
	case left > 0:
		r.pause = min(r.pause, left)
	default:
		r.adopt(nil, nil, s.read)
		r.cfg.Log.Error("remote keys: too old to be trusted any longer; what they would verify is answered 503", "issuer", r.cfg.Issuer, "read", s.read)
	}
}

// jittered is up to a tenth shorter, so that replicas do not ask all at once.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/10) }

// lifetime is how long an answer may be used, by its Cache-Control (RFC 9111
// §5.2.2) and within our bounds.
func lifetime(h http.Header) time.Duration {
	life := maxInterval
	for _, directive := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minInterval
		case "max-age":
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 64); err == nil {
				life = time.Duration(min(n, uint64(maxInterval/time.Second))) * time.Second
			}
		}
	}
	return max(life, minInterval)
}
