package revocation

import (
	"testing"

	"gatehouse/auth"
)

// TestAnswersGiveWay: the oldest of a set goes first.
func TestAnswersGiveWay(t *testing.T) {
	a := newAnswers(0)
	for i := range uint64(5) {
		a.put(1, 8*(i+1), 100+i, false)
	}
	for i := range uint64(5) {
		if got := a.find(1, 8*(i+1)); (got != nil) != (i > 0) || got != nil && got.times != 100+i {
			t.Errorf("%d: %+v", i, got)
		}
	}
	a.put(1, 16, 101, true)
	a.put(1, 16, 50, false) // known whole already
	if got := a.find(1, 16); got.times != 101 || !got.whole {
		t.Errorf("%+v", got)
	}
	a.put(1, 8, 0, true)
	seen := 0
	a.ofShard(0, func(hi, lo, times uint64) bool { seen++; return hi == 1 && times > 100 })
	if seen != 3 || a.find(1, 24) != nil {
		t.Errorf("%d entries are known", seen)
	}
}

// TestAnswersKept: keys are told apart by all of their bits, what the source was
// not asked about is never taken for all there is, and nothing is no entry.
func TestAnswersKept(t *testing.T) {
	const hi, lo, kind = 1 << 40, 1 << 30, uint64(auth.KindSession)
	a := newAnswers(0)
	whole := func(want bool) {
		t.Helper()
		if have := a.find(hi, lo|kind); have == nil || have.whole != want || have.times != 7 {
			t.Errorf("%+v, want whole %t", have, want)
		}
	}
	a.put(hi, lo|kind, 7, false)
	a.put(hi, lo|kind, 5, false)
	whole(false)
	a.put(hi, lo|kind, 0, true)
	whole(true)
	a.put(hi, lo|kind, 3, false)
	whole(true)
	for _, other := range [][2]uint64{{hi + 1, lo | kind}, {hi, lo + 8 | kind}} {
		if a.find(other[0], other[1]) != nil {
			t.Errorf("%x is another", other)
		}
		a.put(other[0], other[1], 0, true)
		whole(true)
	}
	a.ofShard(0, func(foundHi, _, times uint64) bool {
		if foundHi != hi || times != 7 {
			t.Errorf("%x with %d is an entry", foundHi, times)
		}
		return true
	})
}
