package revocation

import (
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
type Mirror struct {
	maxStaleness time.Duration
	current      atomic.Pointer[time.Time] // when the list was last known to be whole; nil: never yet
	shards       [shardCount]shard
	next         atomic.Uint32 // the shard to sweep next
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
}

// NewMirror returns an empty mirror. It is stale until [Mirror.Current] was
// called.
func NewMirror(cfg MirrorConfig) *Mirror { return &Mirror{maxStaleness: cfg.MaxStaleness} }

// split returns the key's halves. Both are as good as random, because a key is
// the head of a SHA-256: the first byte picks the shard, the second half the
// slot.
func split(k auth.RevocationKey) (hi, lo uint64) {
	return binary.BigEndian.Uint64(k[:8]), binary.BigEndian.Uint64(k[8:])
}

// Revoked reports whether the list covers what key names, begun at that Unix
// second, and the entry is still in force at now (Unix seconds).
func (m *Mirror) Revoked(key auth.RevocationKey, begun, now int64) bool {
	hi, lo := split(key)
	t := m.shards[hi>>56].table.Load()
	if t == nil {
		return false
	}
	s, found := t.find(hi, lo)
	return found && covers(s.times.Load(), begun, now)
}

// Put adds an entry. An entry that was there covers from then on what either
// covers, so that neither repetition nor order matters. One that is over at
// now is left out.
func (m *Mirror) Put(r auth.Revocation, now time.Time) {
	until := r.UntilSeconds()
	if int64(until) <= now.Unix() || !r.Kind.Valid() {
		return
	}
	hi, lo := split(r.Key())
	m.shards[hi>>56].put(hi, lo&^kindMask|uint64(r.Kind), uint64(r.BeforeSeconds())<<32|uint64(until), now)
}

func (sh *shard) put(hi, lo, times uint64, now time.Time) {
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
		t = sh.rebuild(now)
	}
	if t == nil {
		fresh := newTable(1)
		t = &fresh
	}
	s, _ := t.find(hi, lo)
	s.fill(hi, lo, times)
	sh.used++
	sh.count[lo&kindMask]++
	sh.table.Store(t)
}

// rebuild replaces the table by one without the entries that are over, and
// returns it. The caller holds the lock.
func (sh *shard) rebuild(now time.Time) *table {
	old := sh.table.Load()
	if old == nil {
		return nil
	}
	fresh, count := old.rebuilt(seconds(now))
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

// Sweep forgets the entries of the next n shards that are over at now. Called
// 256/n times it has seen all of them.
func (m *Mirror) Sweep(n int, now time.Time) {
	for range n {
		sh := &m.shards[m.next.Add(1)%shardCount]
		sh.mu.Lock()
		if t := sh.table.Load(); t != nil && t.anyOver(seconds(now)) {
			sh.rebuild(now)
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
// they are swept.
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
	return n
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
func (m *Mirror) Stale(now time.Time) bool { return m.Age(now) > m.maxStaleness }

func seconds(t time.Time) uint32 { return uint32(min(max(t.Unix(), 0), math.MaxUint32)) }
