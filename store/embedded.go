package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
)

// trimPerWrite bounds how many entries that are over a write takes out, so
// that none takes long. More than one, so that they cannot pile up.
const trimPerWrite = 100

// trimSlack is how long after its end an entry is taken out. Clocks that
// differ by less cannot bring a revoked token back.
const trimSlack = 5 * time.Minute

var (
	bucketRevocations = []byte("revocations") // name → before, until
	bucketExpiry      = []byte("expiry")      // until, name → nothing
	bucketKeys        = []byte("api_keys")    // hash → keyRecord
)

// embedded is a store in a file. Each write is one transaction and on disk
// when it returns.
type embedded struct {
	db      *bbolt.DB
	mu      sync.Mutex // held over commit and journal, so that both have one order
	journal *journal
	closing chan struct{}
	once    sync.Once
	serving func() // ends the socket and waits for it; nil: not served
}

// openMemory returns a store that is gone when it is closed: a file without a
// name that is never forced to disk.
func openMemory() (*embedded, error) {
	f, err := os.CreateTemp("", "gatehouse-memory-*.db")
	if err != nil {
		return nil, fmt.Errorf("store memory: needs a folder for a temporary file; set TMPDIR: %w", err)
	}
	defer os.Remove(f.Name())
	f.Close()
	return openDB(f.Name(), &bbolt.Options{NoSync: true, NoGrowSync: true, NoFreelistSync: true})
}

func openDB(path string, opts *bbolt.Options) (*embedded, error) {
	opts.Timeout = time.Millisecond // the lock is tried once
	opts.NoStatistics = true
	db, err := bbolt.Open(path, 0o600, opts)
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{
			bucketRevocations, bucketExpiry, bucketKeys, bucketSessions, bucketSessionEnds, bucketSubjects,
			bucketLimits, bucketLimitEnds, bucketRings,
		} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && !opts.NoSync {
		err = syncFolder(filepath.Dir(path)) // a new file is only durable with its name
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &embedded{db: db, journal: newJournal(), closing: make(chan struct{})}, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (s *embedded) write(ctx context.Context, e revocation.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.update(ctx, func(tx *bbolt.Tx) error {
		switch e.Op {
		case revocation.KeyPut:
			record, err := encodeKey(e.Key)
			if err != nil {
				return err
			}
			return tx.Bucket(bucketKeys).Put(e.Key.SHA256[:], record)
		case revocation.KeyDeleted:
			return tx.Bucket(bucketKeys).Delete(e.Key.SHA256[:])
		}
		var err error
		if e.Revocation, _, err = putRevocation(tx, e.Revocation); err != nil {
			return err
		}
		return trimRevocations(tx, time.Now().Add(-trimSlack))
	})
	if err == nil {
		s.journal.add(e)
	}
	return err
}

// Restore writes in one transaction, and tells those that were lacking.
func (s *embedded) Restore(ctx context.Context, entries []auth.Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changed []revocation.Event
	err := s.update(ctx, func(tx *bbolt.Tx) error {
		for _, r := range entries {
			merged, same, err := putRevocation(tx, r)
			if err != nil {
				return err
			}
			if !same {
				changed = append(changed, revocation.Event{Op: revocation.Revoked, Revocation: merged})
			}
		}
		if len(changed) == 0 {
			return errSame
		}
		return nil
	})
	if err == nil {
		for _, e := range changed {
			s.journal.add(e)
		}
	}
	return err
}

// errSame ends an update that has nothing to write, which saves the disk.
var errSame = errors.New("nothing has changed")

// update runs one transaction, which is on disk when it returns nil.
func (s *embedded) update(ctx context.Context, do func(*bbolt.Tx) error) error {
	err := ctx.Err()
	if err == nil {
		err = s.db.Update(do)
	}
	switch {
	case err == nil || errors.Is(err, errSame):
		return nil
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return fmt.Errorf("%w: cannot write to its file: %w", ErrUnavailable, err)
}

// view runs a transaction that only reads.
func (s *embedded) view(ctx context.Context, do func(*bbolt.Tx) error) error {
	err := ctx.Err()
	if err == nil {
		err = s.db.View(do)
	}
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: cannot read its file: %w", ErrUnavailable, err)
}

// putRevocation returns what the list has now under the entry's name, and
// whether that is what it had.
func putRevocation(tx *bbolt.Tx, r auth.Revocation) (merged auth.Revocation, same bool, err error) {
	entries, expiry := tx.Bucket(bucketRevocations), tx.Bucket(bucketExpiry)
	name := []byte(revocationName(r))
	before, until := r.BeforeSeconds(), r.UntilSeconds()
	if old := entries.Get(name); len(old) == 8 {
		oldBefore, oldUntil := binary.BigEndian.Uint32(old), binary.BigEndian.Uint32(old[4:])
		before, until = max(before, oldBefore), max(until, oldUntil)
		if same = before == oldBefore && until == oldUntil; !same {
			err = expiry.Delete(expiryKey(oldUntil, name))
		}
	}
	merged = auth.Revocation{Kind: r.Kind, Issuer: r.Issuer, ID: r.ID, ByKey: r.ByKey}
	setTimes(&merged, before, until)
	if same || err != nil {
		return merged, same, err
	}
	times := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, before), until)
	return merged, false, errors.Join(entries.Put(name, times), expiry.Put(expiryKey(until, name), nil))
}

func expiryKey(until uint32, name []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, until), name...)
}

// trimRevocations takes out entries that were over at that time.
func trimRevocations(tx *bbolt.Tx, over time.Time) error {
	entries, expiry := tx.Bucket(bucketRevocations), tx.Bucket(bucketExpiry)
	for _, k := range overdue(expiry, binary.BigEndian.AppendUint32(nil, uint32(over.Unix()))) {
		if err := errors.Join(expiry.Delete(k), entries.Delete(k[4:])); err != nil {
			return err
		}
	}
	return nil
}

// overdue returns keys of a bucket that is in order of time, up to that time.
func overdue(b *bbolt.Bucket, end []byte) (keys [][]byte) {
	c := b.Cursor() // which must not walk over what is being deleted
	for k, _ := c.First(); k != nil && bytes.Compare(k[:len(end)], end) <= 0 && len(keys) < trimPerWrite; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}

func (s *embedded) shards() []shard { return []shard{s} }

func (s *embedded) Snapshot(ctx context.Context, yield func(revocation.Event) error) (revocation.Position, error) {
	at := s.journal.end()
	err := s.db.View(func(tx *bbolt.Tx) error {
		err := tx.Bucket(bucketKeys).ForEach(func(sum, record []byte) error {
			k, err := parseKey(sum, record)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			return yield(revocation.Event{Op: revocation.KeyPut, Key: k})
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketRevocations).ForEach(func(name, times []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := entryOf(name, times)
			if err != nil {
				return err
			}
			return yield(revocation.Event{Op: revocation.Revoked, Revocation: r})
		})
	})
	if errors.Is(err, bbolterrors.ErrDatabaseNotOpen) {
		err = fmt.Errorf("%w: it was closed", ErrUnavailable)
	}
	return at, err
}

// Confirm implements revocation.Confirmer. What was written is never lost here.
func (s *embedded) Confirm(ctx context.Context, _ revocation.Position, asked ...auth.Revocation) (there []auth.Revocation, whole bool, err error) {
	err = s.view(ctx, func(tx *bbolt.Tx) error {
		for _, name := range namesOf(asked) {
			times := tx.Bucket(bucketRevocations).Get([]byte(name))
			if times == nil {
				continue
			}
			r, err := entryOf([]byte(name), times)
			if err != nil {
				return err
			}
			there = append(there, r)
		}
		return nil
	})
	return there, err == nil, err
}

// Vouch implements revocation.Confirmer; there is nothing to note.
func (s *embedded) Vouch(context.Context, revocation.Position, revocation.Position) error { return nil }

func entryOf(name, times []byte) (auth.Revocation, error) {
	r, ok := parseName(string(name))
	if !ok || len(times) != 8 {
		return r, fmt.Errorf("%w: its file holds a revocation that cannot be read", ErrUnavailable)
	}
	setTimes(&r, binary.BigEndian.Uint32(times), binary.BigEndian.Uint32(times[4:]))
	return r, nil
}

// beatEvery is how often a follower hears that nothing has come. It must hear
// something more often than a socket times out.
const beatEvery = 500 * time.Millisecond

func (s *embedded) Follow(ctx context.Context, from revocation.Position, yield func(revocation.Event) error) error {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		events, changed, ok := s.journal.after(from)
		if !ok {
			return revocation.ErrGap
		}
		for _, e := range events {
			if err := yield(e); err != nil {
				return err
			}
			from = e.Position
		}
		current := revocation.Event{Op: revocation.Current, Time: revocation.Always(), Position: from}
		if err := yield(current); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-beat.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing:
			return fmt.Errorf("%w: it was closed", ErrUnavailable)
		}
	}
}

func (s *embedded) ping(ctx context.Context) error {
	return s.view(ctx, func(*bbolt.Tx) error { return nil })
}

func (s *embedded) close() (err error) {
	s.once.Do(func() {
		close(s.closing)
		if s.serving != nil {
			s.serving()
		}
		err = s.db.Close() // waits for transactions under way
	})
	return err
}
