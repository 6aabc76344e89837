package revocation

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"time"

	"gatehouse/auth"
)

// table is a hash table of fixed size with linear probing. One writer at a
// time, under the lock of the table's shard; any number of readers, without.
//
// Three rules make that safe: a slot that was filled keeps its key for the
// table's life, its lo word is stored last, and its times change in a single
// store. So a reader that sees lo sees the rest, and one that finds an empty
// slot knows that the key was not there when it looked. Room comes back only
// by building another table.
//
// There are no pointers in it, so the garbage collector does not look inside.
type table []slot

// slot is 24 bytes. The lowest three bits of a key's second half give way to
// the kind, which is never 0, so that lo is 0 in an empty slot only; 125 bits
// still tell entries apart.
type slot struct {
	lo    atomic.Uint64 // key | kind, stored last
	hi    atomic.Uint64
	times atomic.Uint64 // before<<32 | until, Unix seconds
}

const (
	kindMask  = 7
	minSlots  = 8
	slotBytes = 24
)

// home is where the probing for lo begins: lo's place between 0 and 2^64,
// scaled to the table (a multiplication where a modulo would divide).
func (t table) home(lo uint64) int {
	h, _ := bits.Mul64(lo&^kindMask, uint64(len(t)))
	return int(h)
}

// find returns the slot of the key, or the empty slot where it would go. The
// table is never full, so there is always one.
func (t table) find(hi, lo uint64) (s *slot, found bool) {
	for i := t.home(lo); ; {
		s = &t[i]
		have := s.lo.Load()
		if have == 0 {
			return s, false
		}
		if (have^lo)&^kindMask == 0 && s.hi.Load() == hi {
			return s, true
		}
		if i++; i == len(t) {
			i = 0
		}
	}
}

// full reports whether a table with that many slots in use should grow before
// it takes another entry. Above a half the runs to probe become long, above all for keys that are not
// there, which most are.
func (t table) full(used int) bool { return 2*(used+1) > len(t) }

// each yields the entries until yield returns false.
func (t table) each(yield func(hi, lo, times uint64) bool) {
	for i := range t {
		if lo := t[i].lo.Load(); lo != 0 && !yield(t[i].hi.Load(), lo, t[i].times.Load()) {
			return
		}
	}
}

// rebuilt returns a table of the entries to be kept, with room for a
// quarter as many again, and their number by kind. It is nil when none is left.
// Slots take 24·5/2 = 60 bytes an entry at first and 48 when it is full.
func (t table) rebuilt(keep func(lo, times uint64) bool) (table, [kindMask + 1]int32) {
	var count [kindMask + 1]int32
	live := 0
	t.each(func(_, lo, times uint64) bool {
		if keep(lo, times) {
			count[lo&kindMask]++
			live++
		}
		return true
	})
	if live == 0 {
		return nil, count
	}
	fresh := newTable(live)
	t.each(func(hi, lo, times uint64) bool {
		if keep(lo, times) {
			s, _ := fresh.find(hi, lo)
			s.fill(hi, lo, times)
		}
		return true
	})
	return fresh, count
}

func newTable(entries int) table { return make(table, max(minSlots, (entries+1)*5/2)) }

// entryOf returns the entry of a slot with that content, which is known by its
// key alone.
func entryOf(hi, lo, times uint64) auth.Revocation {
	e := auth.Revocation{Kind: auth.Kind(lo & kindMask)}
	binary.BigEndian.PutUint64(e.ByKey[:8], hi)
	binary.BigEndian.PutUint64(e.ByKey[8:], lo&^kindMask)
	if before := times >> 32; before != auth.Always {
		e.Before = time.Unix(int64(before), 0).UTC()
	}
	e.Until = time.Unix(int64(times&0xffffffff), 0).UTC()
	return e
}

func (s *slot) fill(hi, lo, times uint64) {
	s.hi.Store(hi)
	s.times.Store(times)
	s.lo.Store(lo)
}

// covers reports whether an entry with those times covers what began at that
// second.
func covers(times uint64, begun, now int64) bool {
	before, until := times>>32, times&0xffffffff
	return now < int64(until) && (before == auth.Always || begun <= int64(before))
}

// covers reports whether the table, which may be nil, has an entry that covers
// all that one with those times would.
func (t *table) covers(hi, lo, times uint64) bool {
	if t == nil {
		return false
	}
	s, found := t.find(hi, lo)
	if !found {
		return false
	}
	have := s.times.Load()
	return merge(have, times) == have
}

// timesOf packs an entry's times, as a slot has them.
func timesOf(r auth.Revocation) uint64 {
	return uint64(r.BeforeSeconds())<<32 | uint64(r.UntilSeconds())
}

// merge returns the times that cover what either covers.
func merge(a, b uint64) uint64 {
	before := max(a>>32, b>>32)
	until := max(a&0xffffffff, b&0xffffffff)
	return before<<32 | until
}
