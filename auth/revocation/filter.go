package revocation

import (
	"math/bits"
	"sync/atomic"
)

// filter is a blocked Bloom filter: it tells for certain that a key was not
// added, and is mistaken about few that were not. Any number may add and ask at
// once, without a lock: bits are only ever set, one word at a time, so that a key
// is there as soon as add has returned.
//
// All bits of a key are in one block of the size of a cache line, so that asking
// costs one miss. Keys are hashes already, which saves hashing them.
type filter struct {
	blocks []block
	added  [kindMask + 1]atomic.Int64 // by kind; what came twice is counted twice
	until  atomic.Uint32              // the last end, Unix seconds
	base   atomic.Int64               // how many were added when it was last known to be no more than the source has
}

type block [8]atomic.Uint64

const (
	blockBytes = 64
	// probes is the number of bits of a key. At ten bits of filter for each key
	// it is mistaken about 1.1 % with five, six and seven alike.
	probes = 6
)

// newFilter returns a filter that takes at most that many bytes.
func newFilter(bytes int) *filter { return &filter{blocks: make([]block, max(1, bytes/blockBytes))} }

// place is the block of a key, by its high half, and where in that its bits
// begin and how far apart they are, by its low half.
func (f *filter) place(hi, lo uint64) (b *block, at, step uint64) {
	i, _ := bits.Mul64(hi, uint64(len(f.blocks)))
	return &f.blocks[i], lo >> 32, lo>>41 | 1
}

// add adds an entry; lo holds its kind, as in a slot.
func (f *filter) add(hi, lo, times uint64) {
	b, at, step := f.place(hi, lo)
	for range probes {
		b[at>>6&7].Or(1 << (at & 63))
		at += step
	}
	f.added[lo&kindMask].Add(1)
	for until := uint32(times); ; {
		last := f.until.Load()
		if until <= last || f.until.CompareAndSwap(last, until) {
			return
		}
	}
}

// has reports whether the key may have been added.
func (f *filter) has(hi, lo uint64) bool {
	b, at, step := f.place(hi, lo)
	for range probes {
		if b[at>>6&7].Load()&(1<<(at&63)) == 0 {
			return false
		}
		at += step
	}
	return true
}

// entries is how many were added.
func (f *filter) entries() (n int64) {
	for i := range f.added {
		n += f.added[i].Load()
	}
	return n
}

// rebase notes that the filter has no more than the source.
func (f *filter) rebase() { f.base.Store(f.entries()) }

// outgrown reports whether a quarter as many were added again as there were at
// first. Of them, or of those, many will be over, and take up room until the
// filter is made anew.
func (f *filter) outgrown() bool {
	base := f.base.Load()
	return f.entries()-base > base/4
}
