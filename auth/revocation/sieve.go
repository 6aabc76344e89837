package revocation

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"gatehouse/auth"
)

// errDoubt is why what a source does not have is not believed not to be revoked.
var errDoubt = errors.New("the store was lost or replaced, and no replica that holds the whole revocation list " +
	"has said that it has all of it again; run one without revocation.max_memory")

// errNoAnswer is what those hear who wait for a question that ended in a panic.
var errNoAnswer = errors.New("asking the store about an entry panicked")

// pinned are the kinds that are in the tables whatever their number, because
// they are few and each is looked up for many requests.
var pinned = [kindMask + 1]bool{auth.KindClient: true, auth.KindAPIKey: true, auth.KindIssuer: true}

// sieve stands for the entries of a [Mirror] that do not fit into its tables: a
// filter of all of them, and exactly what is known of some. What the filter has
// and is not known exactly the source is asked about.
type sieve struct {
	filter atomic.Pointer[filter]
	// fresh is made while the source is read again: the entries that are over are
	// not in it. Nil: none is being made.
	fresh atomic.Pointer[filter]
	bytes int // of each filter

	mu      sync.Mutex // held by whoever writes what follows
	answers *answers
	flights map[auth.RevocationKey]*flight
}

// flight is a question to the source that is under way.
type flight struct {
	landed chan struct{}
	times  uint64 // what was heard of the key meanwhile, and in the end all; under the sieve's mu
	err    error
}

// newSieve returns an empty sieve for a mirror of that many bytes: two filters
// of 3/8 each, one of them only for a while, and 1/8 for answers. The rest is for
// the tables of the pinned kinds.
func newSieve(bytes int) *sieve {
	s := &sieve{bytes: bytes / 8 * 3, answers: newAnswers(bytes / 8), flights: map[auth.RevocationKey]*flight{}}
	s.filter.Store(newFilter(s.bytes))
	return s
}

func (s *sieve) covers(hi, lo uint64, begun, now int64) auth.Coverage {
	if !s.filter.Load().has(hi, lo) {
		return auth.NotCovered
	}
	if a := s.answers.find(hi, lo); a != nil {
		if covers(a.times, begun, now) {
			return auth.Covered
		}
		if a.whole {
			return auth.NotCovered
		}
	}
	return auth.Unsure
}

// put adds an entry. One that is news is also kept exactly, as long as there is
// room; of one that is read with all the others that is not worth it.
func (s *sieve) put(key auth.RevocationKey, hi, lo, times uint64, news bool) {
	s.add(hi, lo, times)
	s.mu.Lock()
	defer s.mu.Unlock()
	if news || s.answers.find(hi, lo) != nil {
		s.answers.put(hi, lo, times, false)
	}
	if f := s.flights[key]; f != nil {
		f.times = merge(f.times, times)
	}
}

// take is put for an entry that leaves a table. The source may lack it, so that it
// is to be written back.
func (s *sieve) take(hi, lo, times uint64) {
	s.add(hi, lo, times)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers.put(hi, lo, times, false)
}

func (s *sieve) add(hi, lo, times uint64) {
	// In this order: fresh may become the filter in between.
	if f := s.fresh.Load(); f != nil {
		f.add(hi, lo, times)
	}
	s.filter.Load().add(hi, lo, times)
}

// begin makes a fresh filter, before the source is read again. Who has put an
// entry without seeing it has written that entry before, so that it is read.
func (s *sieve) begin() { s.fresh.Store(newFilter(s.bytes)) }

// renew puts the fresh filter in the place of the old one, when the source has
// all that is in that and not over.
func (s *sieve) renew() {
	fresh := s.fresh.Load()
	if fresh == nil { // the sieve was made while the source was read
		s.filter.Load().rebase()
		return
	}
	s.mu.Lock() // what the log is still to tell again
	for shard := range shardCount {
		s.answers.ofShard(shard, func(hi, lo, times uint64) bool {
			if !fresh.has(hi, lo) {
				fresh.add(hi, lo, times)
			}
			return true
		})
	}
	s.mu.Unlock()
	fresh.rebase()
	s.filter.Store(fresh)
	s.fresh.Store(nil)
}

// confirm asks the source about an entry, once for all who ask at a time. Since
// is where the source was last known to be whole.
func (s *sieve) confirm(ctx context.Context, source Confirmer, since Position, r auth.Revocation, begun, now int64) (auth.Coverage, error) {
	key := r.Key()
	s.mu.Lock()
	f, under := s.flights[key]
	if !under {
		f = &flight{landed: make(chan struct{})}
		s.flights[key] = f
	}
	s.mu.Unlock()
	if !under {
		// Others wait for it as well, so that it does not end with who asked
		// first. The source bounds the time.
		s.ask(context.WithoutCancel(ctx), f, source, since, r)
	}
	select {
	case <-f.landed:
	case <-ctx.Done():
		return auth.Unsure, ctx.Err()
	}
	switch {
	case covers(f.times, begun, now):
		return auth.Covered, nil
	case f.err != nil:
		return auth.Unsure, f.err
	}
	return auth.NotCovered, nil
}

// ask takes a flight from its question to its end, which also a source that
// panics does not keep from those who wait for it.
func (s *sieve) ask(ctx context.Context, f *flight, source Confirmer, since Position, r auth.Revocation) {
	var there []auth.Revocation
	whole, err := false, errNoAnswer
	defer func() { s.land(f, r.Key(), r.Kind, there, whole, err) }()
	there, whole, err = source.Confirm(ctx, since, r)
}

// land ends a flight. What the source has is in force in any case; what it does
// not have only where it is whole.
func (s *sieve) land(f *flight, key auth.RevocationKey, kind auth.Kind, there []auth.Revocation, whole bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flights, key)
	for _, r := range there {
		f.times = merge(f.times, timesOf(r))
	}
	if f.err = err; err == nil && !whole {
		f.err = errDoubt
	}
	if f.err == nil || f.times != 0 {
		hi, lo := split(key)
		s.answers.put(hi, lo&^kindMask|uint64(kind), f.times, f.err == nil)
	}
	close(f.landed)
}
