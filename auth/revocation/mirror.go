package revocation

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/auth"
)

// shardCount bounds how long a writer is busy with one table and how much
// memory a table that grows takes for a moment: 1/256 of the whole.
const shardCount = 256

// Mirror is the revocation list in memory, an [auth.RevocationList]. Reads
// take no lock and do not wait for writers. What it was told is in force until
// the entry's own end, whatever becomes of the store.
//
// It holds every entry, unless a bound is set and they do not fit: then a [sieve]
// stands for most of them, and what that is unsure of is asked at the source.
type Mirror struct {
	cfg     MirrorConfig
	current atomic.Pointer[time.Time] // when the list was last known to be whole; nil: never yet
	shards  [shardCount]shard
	next    atomic.Uint32 // the shard to sweep next
	slots   atomic.Int64  // of all tables

	sieve     atomic.Pointer[sieve] // nil: every entry is in the tables
	narrowing sync.Mutex            // held while the sieve is made
	source    atomic.Pointer[Confirmer]
	since     atomic.Pointer[Position] // where the source was last known to have all that was here; nil: never yet
}

// shard is padded to a cache line, so that a writer of one does not slow the
// readers of the next down.
type shard struct {
	table atomic.Pointer[table] // nil: empty
	mu    sync.Mutex            // held by whoever writes
	used  int32                 // slots in use
	count [kindMask + 1]int32   // of them, by kind
	_     [12]byte
}

var _ auth.RevocationList = (*Mirror)(nil)

// MirrorConfig configures a [Mirror].
type MirrorConfig struct {
	// MaxStaleness is the age above which the list is stale. Zero: only a
	// list that cannot fall behind, because its store is in this process, is
	// fresh enough.
	MaxStaleness time.Duration
	// MaxBytes bounds what the list takes. When the entries need more than half of
	// it, the other half being for reading it again, a filter stands for most of
	// them. Zero: no bound.
	MaxBytes int
	// Confirmed is told of each question that the source was asked: Covered,
	// NotCovered, or Unsure when it could not be had. It may be nil.
	Confirmed func(auth.Coverage)
}

// NewMirror returns an empty mirror. It is stale until [Mirror.Current] was
// called.
func NewMirror(cfg MirrorConfig) *Mirror {
	if cfg.Confirmed == nil {
		cfg.Confirmed = func(auth.Coverage) {}
	}
	return &Mirror{cfg: cfg}
}

// split returns the key's halves. Both are as good as random, because a key is
// the head of a SHA-256: the first byte picks the shard, the second half the
// slot.
func split(k auth.RevocationKey) (hi, lo uint64) {
	return binary.BigEndian.Uint64(k[:8]), binary.BigEndian.Uint64(k[8:])
}

// Covers looks an entry up; see [auth.RevocationList].
func (m *Mirror) Covers(kind auth.Kind, key auth.RevocationKey, begun, now int64) auth.Coverage {
	hi, lo := split(key)
	if t := m.shards[hi>>56].table.Load(); t != nil {
		if s, found := t.find(hi, lo); found && covers(s.times.Load(), begun, now) {
			return auth.Covered
		}
	}
	// The tables come first: an entry is in the sieve before it leaves them.
	s := m.sieve.Load()
	if s == nil || pinned[kind&kindMask] {
		return auth.NotCovered
	}
	return s.covers(hi, lo, begun, now)
}

// Confirm asks the source where Covers is unsure; see [auth.RevocationList].
func (m *Mirror) Confirm(ctx context.Context, r auth.Revocation, begun, now int64) (auth.Coverage, error) {
	c := m.Covers(r.Kind, r.Key(), begun, now)
	if c != auth.Unsure {
		return c, nil
	}
	source, since := m.source.Load(), m.since.Load()
	if source == nil || since == nil {
		return auth.Unsure, errDoubt
	}
	c, err := m.sieve.Load().confirm(ctx, *source, *since, r, begun, now)
	m.cfg.Confirmed(c)
	return c, err
}

// Put adds an entry. An entry that was there covers from then on what either
// covers, so that neither repetition nor order matters. One that is over at
// now is left out.
func (m *Mirror) Put(r auth.Revocation, now time.Time) { m.put(r, now, true) }

// put is Put; news says that the entry does not come with all the others.
func (m *Mirror) put(r auth.Revocation, now time.Time, news bool) {
	times := timesOf(r)
	if uint32(times) <= seconds(now) || !r.Kind.Valid() {
		return
	}
	key := r.Key()
	hi, lo := split(key)
	lo = lo&^kindMask | uint64(r.Kind)
	if s := m.sieve.Load(); s != nil && !pinned[r.Kind] {
		s.put(key, hi, lo, times, news)
		return
	}
	m.shards[hi>>56].put(m, hi, lo, times, now)
	if m.cfg.MaxBytes > 0 && m.slots.Load()*slotBytes > int64(m.cfg.MaxBytes/2) {
		m.narrow(now)
	}
}

// knows reports whether what is here of an entry is kept exactly.
func (m *Mirror) knows(r auth.Revocation) bool {
	s := m.sieve.Load()
	if s == nil || pinned[r.Kind&kindMask] {
		return true
	}
	a := s.answers.find(split(r.Key()))
	return a != nil && a.times != 0
}

func (sh *shard) put(m *Mirror, hi, lo, times uint64, now time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.table.Load()
	if t != nil {
		if s, found := t.find(hi, lo); found {
			s.times.Store(merge(s.times.Load(), times))
			return
		}
	}
	if t == nil || t.full(int(sh.used)) {
		t = sh.rebuild(m, now)
	}
	if t == nil {
		fresh := newTable(1)
		t = &fresh
		m.slots.Add(int64(len(fresh)))
	}
	s, _ := t.find(hi, lo)
	s.fill(hi, lo, times)
	sh.used++
	sh.count[lo&kindMask]++
	sh.table.Store(t)
}

// rebuild replaces the table by one without the entries that are over, and
// returns it. Those that a sieve is to stand for go there. The caller holds the
// lock.
func (sh *shard) rebuild(m *Mirror, now time.Time) *table {
	old := sh.table.Load()
	if old == nil {
		return nil
	}
	s, over := m.sieve.Load(), seconds(now)
	if s != nil {
		old.each(func(hi, lo, times uint64) bool {
			if uint32(times) > over && !pinned[lo&kindMask] {
				s.take(hi, lo, times)
			}
			return true
		})
	}
	fresh, count := old.rebuilt(func(lo, times uint64) bool {
		return uint32(times) > over && (s == nil || pinned[lo&kindMask])
	})
	m.slots.Add(int64(len(fresh) - len(*old)))
	sh.count, sh.used = count, 0
	for _, n := range count {
		sh.used += n
	}
	if fresh == nil {
		sh.table.Store(nil)
		return nil
	}
	sh.table.Store(&fresh)
	return &fresh
}

// narrow makes the sieve and puts what is in the tables into it.
func (m *Mirror) narrow(now time.Time) {
	m.narrowing.Lock()
	defer m.narrowing.Unlock()
	if m.sieve.Load() != nil {
		return
	}
	// From here on what is put goes into it, but for who is doing so right now:
	// that stays in a table.
	s := newSieve(m.cfg.MaxBytes)
	m.sieve.Store(s)
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		sh.rebuild(m, now)
		sh.mu.Unlock()
	}
	s.filter.Load().rebase()
}

// Sweep forgets the entries of the next n shards that are over at now. Called
// 256/n times it has seen all of them.
func (m *Mirror) Sweep(n int, now time.Time) {
	for range n {
		sh := &m.shards[m.next.Add(1)%shardCount]
		sh.mu.Lock()
		if t := sh.table.Load(); t != nil && t.anyOver(seconds(now)) {
			sh.rebuild(m, now)
		}
		sh.mu.Unlock()
	}
}

func (t table) anyOver(now uint32) bool {
	for i := range t {
		if t[i].lo.Load() != 0 && uint32(t[i].times.Load()) <= now {
			return true
		}
	}
	return false
}

// Len returns the number of entries by kind. Those that are over count until
// they are swept, and what a filter stands for is counted as often as it came.
func (m *Mirror) Len() map[auth.Kind]int {
	n := make(map[auth.Kind]int, len(auth.Kinds()))
	for i := range m.shards {
		sh := &m.shards[i]
		sh.mu.Lock()
		for _, k := range auth.Kinds() {
			n[k] += int(sh.count[k])
		}
		sh.mu.Unlock()
	}
	if s := m.sieve.Load(); s != nil {
		f := s.filter.Load()
		for _, k := range auth.Kinds() {
			n[k] += int(f.added[k].Load())
		}
	}
	return n
}

// FilterBits is the size of the filter that stands for most of the entries; 0:
// there is none, every entry is here.
func (m *Mirror) FilterBits() int {
	s := m.sieve.Load()
	if s == nil {
		return 0
	}
	return len(s.filter.Load().blocks) * blockBytes * 8
}

// Current notes that the list was whole at that time, which should carry a
// monotonic reading: the age must not follow a clock that is set.
func (m *Mirror) Current(at time.Time) { m.current.Store(&at) }

// Complete reports whether the list was ever whole. Before that, nobody should
// be let in on the strength of it.
func (m *Mirror) Complete() bool { return m.current.Load() != nil }

// Age is the time since the list was last known to be whole, 0 for one that
// cannot fall behind, and the longest duration there is for one that never was
// whole.
func (m *Mirror) Age(now time.Time) time.Duration {
	at := m.current.Load()
	if at == nil {
		return math.MaxInt64
	}
	return max(0, now.Sub(*at))
}

// Stale reports whether the list is too old to be trusted for what it does not
// contain.
func (m *Mirror) Stale(now time.Time) bool { return m.Age(now) > m.cfg.MaxStaleness }

func seconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), math.MaxUint32)) }
