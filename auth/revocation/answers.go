package revocation

import (
	"math/bits"
	"sync/atomic"
)

// answer is what is known exactly of one key while a [sieve] stands for most of
// them: an entry that the log has told, or what the source said when it was
// asked. It is never changed but replaced.
type answer struct {
	hi, lo uint64 // as in a slot
	times  uint64 // 0: there is no entry
	age    uint32 // by which the oldest of a set gives way
	// whole tells that the source was asked. What the log tells can be less: an
	// entry can have two names, see docs/revocation.md.
	whole bool
}

// answers keep the newest of them in bounded room. Reads take no lock; who
// writes holds the sieve's.
type answers struct {
	sets []answerSet // a multiple of shardCount, those of a shard side by side
	age  uint32
}

type answerSet [4]atomic.Pointer[answer]

const answerBytes = 8 + 32 // of one: the pointer and what it points to

// newAnswers returns room for as many answers as take that many bytes, for 1024
// at least.
func newAnswers(bytes int) *answers {
	const perShard = shardCount * len(answerSet{})
	return &answers{sets: make([]answerSet, shardCount*max(1, bytes/answerBytes/perShard))}
}

func (a *answers) set(hi uint64) *answerSet {
	i, _ := bits.Mul64(hi, uint64(len(a.sets)))
	return &a.sets[i]
}

// find returns what is known of a key, nil when nothing is.
func (a *answers) find(hi, lo uint64) *answer {
	set := a.set(hi)
	for i := range set {
		if have := set[i].Load(); have != nil && have.hi == hi && (have.lo^lo)&^kindMask == 0 {
			return have
		}
	}
	return nil
}

// put adds to what is known of a key; where nothing is, the oldest of its set
// gives way.
func (a *answers) put(hi, lo, times uint64, whole bool) {
	a.age++
	fresh := &answer{hi: hi, lo: lo, times: times, age: a.age, whole: whole}
	set := a.set(hi)
	at := &set[0]
	for i := range set {
		have := set[i].Load()
		if have != nil && have.hi == hi && (have.lo^lo)&^kindMask == 0 {
			fresh.times, fresh.whole = merge(have.times, times), whole || have.whole
			at = &set[i]
			break
		}
		if oldest := at.Load(); oldest != nil && (have == nil || int32(have.age-oldest.age) < 0) {
			at = &set[i]
		}
	}
	at.Store(fresh)
}

// ofShard yields the entries of a shard until yield returns false.
func (a *answers) ofShard(shard int, yield func(hi, lo, times uint64) bool) {
	per := len(a.sets) / shardCount
	for s := shard * per; s < (shard+1)*per; s++ {
		for i := range a.sets[s] {
			if have := a.sets[s][i].Load(); have != nil && have.times != 0 && !yield(have.hi, have.lo, have.times) {
				return
			}
		}
	}
}
