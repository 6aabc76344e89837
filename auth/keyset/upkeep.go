package keyset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	minPause = 50 * time.Millisecond // after the first failure
	// maxTries bounds how often a change is tried again after another replica
	// was first. Each conflict is another's success, so a few will do.
	maxTries = 4
)

// Run keeps the ring until ctx is done; then it returns nil. It reads the
// store, makes the first key where there is none and the next when one is due.
// What fails is logged and tried again, after pauses that grow to Poll.
func (r *Ring) Run(ctx context.Context) error {
	failing := false
	pause := minPause
	for ctx.Err() == nil {
		err := r.change(ctx, r.due)
		if ctx.Err() != nil {
			break
		}
		switch {
		case err != nil && failing:
			pause = min(2*pause, r.cfg.Poll)
		case err != nil:
			pause = min(minPause, r.cfg.Poll)
			r.emptySince = time.Time{}
			r.cfg.Log.Error("key ring: cannot be kept, trying again", "issuer", r.cfg.Issuer, "error", err)
		case r.Ready():
			pause = r.cfg.Poll
		default:
			pause = min(minPause, r.cfg.Poll)
		}
		if err == nil && failing {
			r.cfg.Log.Info("key ring: read again", "issuer", r.cfg.Issuer)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2+1)): // replicas should not all ask at once
		}
	}
	return nil
}

// Load reads the ring from the store once, and writes nothing. Afterwards the
// ring has keys, unless the store has none or the error says why not.
func (r *Ring) Load(ctx context.Context) error {
	r.update.Lock()
	defer r.update.Unlock()
	_, _, err := r.read(ctx)
	return err
}

// read adopts what the store has in addition to what is known, less what is
// retired, and returns what it has.
func (r *Ring) read(ctx context.Context) (stored ringRecords, version uint64, err error) {
	data, version, err := r.cfg.Store.Keyring(ctx, r.cfg.Issuer)
	if err == nil && version > 0 {
		stored, err = r.unseal(data)
	}
	r.adopt(r.set.Load().records.and(stored...).live(r.cfg.Now(), r.cfg.RetireAfter))
	return stored, version, err
}

func (r *Ring) unseal(data []byte) (ringRecords, error) {
	text, err := r.sealer.open(data)
	if err != nil {
		return nil, fmt.Errorf("the key ring of issuer %q in the store cannot be opened, and is left as it is: %w", r.cfg.Issuer, err)
	}
	stored, err := parseRing(text)
	if err != nil {
		return nil, fmt.Errorf("the key ring of issuer %q in the store cannot be read, and is left as it is: %w", r.cfg.Issuer, err)
	}
	return stored, nil
}

// change reads the ring and writes it as next makes it, again from the
// beginning after every write that failed. A ring that cannot be read is never
// written. The store keeps a key for longer than it verifies by what PublishFor
// covers: a replica whose clock is behind would take it for lost.
func (r *Ring) change(ctx context.Context, next func(ringRecords, time.Time) (ringRecords, error)) error {
	r.update.Lock()
	defer r.update.Unlock()
	var failed error
	for range maxTries {
		stored, version, err := r.read(ctx)
		if err != nil {
			return errors.Join(failed, err)
		}
		known := r.set.Load().records
		wanted, err := next(known, r.cfg.Now())
		if err != nil {
			return err
		}
		kept := stored.live(r.cfg.Now().Add(-r.cfg.PublishFor), r.cfg.RetireAfter)
		written := kept.and(wanted...)
		if len(kept) == len(stored) && len(written) == len(stored) {
			return nil
		}
		text, err := json.Marshal(ringDocument{written})
		if err != nil {
			return err
		}
		if failed = r.cfg.Store.PutKeyring(ctx, r.cfg.Issuer, r.sealer.seal(text), version); failed == nil {
			r.adopt(wanted)
			r.report(stored, known, wanted)
			return nil
		}
	}
	return failed
}

// report logs what was written: keys that are new, and keys that the store had
// lost.
func (r *Ring) report(stored, known, written ringRecords) {
	for _, record := range written {
		switch {
		case known.index(record.KID) < 0:
			r.cfg.Log.Info("key ring: new signing key published", "issuer", r.cfg.Issuer,
				"kid", record.KID, "algorithm", record.Algorithm, "signs_from", record.SignFrom)
		case stored.index(record.KID) < 0:
			r.cfg.Log.Warn("key ring: the store had lost a key, which was written back", "issuer", r.cfg.Issuer, "kid", record.KID)
		}
	}
}

// due adds the key that is due, if any: the first, or the next by schedule.
func (r *Ring) due(records ringRecords, now time.Time) (ringRecords, error) {
	switch n := len(records); {
	case n == 0:
		if r.emptySince.IsZero() {
			r.emptySince = now
		}
		// A store that has lost its data gets it back from the replicas that run.
		if now.Sub(r.emptySince) < r.cfg.Poll {
			return nil, nil
		}
	// A ring that commands have filled gets its next key when one retires.
	case r.cfg.RotateEvery == 0, n >= maxRingKeys, now.Before(records[n-1].Created.Add(r.cfg.RotateEvery)):
		return records, nil
	}
	record, err := newRingRecord(r.cfg.Algorithm)
	if err != nil {
		return nil, err
	}
	return r.publish(records, record, now), nil
}

// publish adds a key that signs when all replicas have read it; the first of
// all, which has none to wait behind, at once.
func (r *Ring) publish(records ringRecords, record ringRecord, now time.Time) ringRecords {
	signFrom := now
	if len(records) > 0 {
		signFrom = now.Add(r.cfg.PublishFor)
	}
	return records.and(record.at(now, signFrom))
}
