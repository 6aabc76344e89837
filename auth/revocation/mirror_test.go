package revocation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
	"unsafe"

	"gatehouse/auth"
)

var t0 = time.Unix(1_800_000_000, 0)

// covered asks for an entry of a kind that is not kept apart.
func covered(m *Mirror, key auth.RevocationKey, begun, now int64) bool {
	return m.Covers(auth.KindSession, key, begun, now) == auth.Covered
}

func session(id any, until time.Duration) auth.Revocation {
	return auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: fmt.Sprint(id), Until: t0.Add(until)}
}

func subject(before time.Time) auth.Revocation {
	return auth.Revocation{Kind: auth.KindSubject, Issuer: "main", ID: "alice", Before: before, Until: t0.Add(time.Hour)}
}

func TestLayout(t *testing.T) {
	if n := unsafe.Sizeof(shard{}); n != 64 {
		t.Errorf("a shard has %d bytes, which is not a cache line", n)
	}
	for _, k := range auth.Kinds() {
		if k == 0 || k > kindMask {
			t.Errorf("kind %s does not fit into a slot", k)
		}
	}
}

func TestRevoked(t *testing.T) {
	for name, c := range map[string]struct {
		entry auth.Revocation
		begun time.Time
		now   time.Time
		want  bool
	}{
		"a session":                 {session("s", time.Hour), t0.Add(-time.Hour), t0, true},
		"a session begun later":     {session("s", time.Hour), t0.Add(time.Hour), t0, true},
		"begun beyond 32 bits":      {session("s", time.Hour), time.Unix(1<<40, 0), t0, true},
		"the last second":           {session("s", time.Hour), t0, t0.Add(time.Hour - time.Second), true},
		"R09 the end":               {session("s", time.Hour), t0, t0.Add(time.Hour), false},
		"R09 a part of a second":    {session("s", time.Hour+time.Millisecond), t0, t0.Add(time.Hour), true},
		"R09 less than a second":    {session("s", time.Millisecond), t0, t0, true},
		"a subject":                 {subject(t0), t0.Add(-time.Hour), t0, true},
		"in the second of before":   {subject(t0.Add(time.Nanosecond)), t0, t0, true},
		"a subject's later session": {subject(t0), t0.Add(time.Second), t0, false},
		"a subject, no before":      {subject(time.Time{}), t0.Add(time.Hour), t0, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := NewMirror(MirrorConfig{})
			m.Put(c.entry, t0)
			if got := covered(m, c.entry.Key(), c.begun.Unix(), c.now.Unix()); got != c.want {
				t.Errorf("got %v", got)
			}
			if covered(m, session("another", 0).Key(), 0, t0.Unix()) {
				t.Error("and another one too")
			}
		})
	}
}

func TestPutMerges(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	at := func(before, until time.Duration) auth.Revocation {
		return auth.Revocation{Kind: auth.KindSubject, Issuer: "main", ID: "a", Before: t0.Add(before), Until: t0.Add(until)}
	}
	m.Put(at(time.Minute, time.Hour), t0)
	m.Put(at(time.Hour, time.Minute), t0)
	key := at(0, 0).Key()
	if !covered(m, key, t0.Add(time.Hour).Unix(), t0.Add(59*time.Minute).Unix()) {
		t.Error("the later before and the later end do not hold together")
	}
	if n := m.Len()[auth.KindSubject]; n != 1 {
		t.Errorf("%d entries", n)
	}
	for _, none := range []auth.Revocation{
		session("over", 0),
		{Kind: 0, ID: "x", Until: t0.Add(time.Hour)},
		{Kind: 200, ID: "x", Until: t0.Add(time.Hour)},
	} {
		m := NewMirror(MirrorConfig{})
		m.Put(none, t0)
		if m.shards[none.Key()[0]].table.Load() != nil {
			t.Errorf("an entry that covers nothing is kept: %+v", none)
		}
	}
}

func TestSweep(t *testing.T) {
	for after, want := range map[time.Duration]int{time.Minute - 1: 1, time.Minute: 0} {
		m := NewMirror(MirrorConfig{})
		m.Put(session("s", time.Minute), t0)
		m.Sweep(shardCount, t0.Add(after))
		if n := m.Len()[auth.KindSession]; n != want {
			t.Errorf("%d entries after %s", n, after)
		}
	}
}

// TestMirrorAgainstMap lets a mirror and a plain map take the same random
// steps, with keys that fall into few shards so that tables fill and wrap.
func TestMirrorAgainstMap(t *testing.T) {
	for seed := range uint64(4) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		m, oracle := NewMirror(MirrorConfig{}), map[auth.RevocationKey]auth.Revocation{}
		names := namesInShards(rnd, 4, 600)
		now := t0
		for range 6000 {
			r := names[rnd.IntN(len(names))]
			r.Before, r.Until = t0.Add(time.Duration(rnd.IntN(1000))*time.Second), now.Add(time.Duration(1+rnd.IntN(300))*time.Second)
			m.Put(r, now)
			old := oracle[r.Key()]
			if !old.Until.After(now) { // over: it may have been forgotten, or merged
				old = auth.Revocation{}
			}
			r.Before, r.Until = later(r.Before, old.Before), later(r.Until, old.Until)
			oracle[r.Key()] = r
			if rnd.IntN(10) == 0 {
				now = now.Add(time.Duration(rnd.IntN(20)) * time.Second)
				m.Sweep(shardCount, now) // so that nothing that is over is merged with
			}
			compare(t, m, oracle, names[rnd.IntN(len(names))], now, rnd)
		}
		for _, r := range names {
			compare(t, m, oracle, r, now, rnd)
		}
		m.Sweep(shardCount, now)
		want := map[auth.Kind]int{}
		for _, r := range oracle {
			if r.Until.After(now) {
				want[r.Kind]++
			}
		}
		for k, n := range m.Len() {
			if n != want[k] {
				t.Errorf("%d entries of kind %s, want %d", n, k, want[k])
			}
		}
		m.Sweep(shardCount, now.Add(time.Hour))
		for i := range m.shards {
			if m.shards[i].table.Load() != nil || m.shards[i].used != 0 {
				t.Fatal("a shard is not empty when all is over")
			}
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func namesInShards(rnd *rand.Rand, shards, n int) (names []auth.Revocation) {
	for len(names) < n {
		r := auth.Revocation{Kind: auth.KindSubject, Issuer: "main", ID: fmt.Sprint(rnd.Uint64())}
		if rnd.IntN(2) == 0 {
			r.Kind = auth.KindClient
		}
		if int(r.Key()[0]) < shards {
			names = append(names, r)
		}
	}
	return names
}

func compare(t *testing.T, m *Mirror, oracle map[auth.RevocationKey]auth.Revocation, r auth.Revocation, now time.Time, rnd *rand.Rand) {
	t.Helper()
	begun := t0.Add(time.Duration(rnd.IntN(1100)) * time.Second)
	entry, there := oracle[r.Key()]
	want := there && entry.Until.After(now) && !begun.After(entry.Before)
	if got := covered(m, r.Key(), begun.Unix(), now.Unix()); got != want {
		t.Fatalf("got %v, want %v for %+v, begun %s, now %s", got, want, entry, begun, now)
	}
}

// TestReadersAndWriters is for the race detector, and for an entry that was
// put to be there from then on, whatever tables come and go.
func TestReadersAndWriters(t *testing.T) {
	const entries = 4000
	m := NewMirror(MirrorConfig{})
	lasting := make([]auth.Revocation, entries)
	for i := range lasting {
		lasting[i] = session(i, time.Hour)
	}
	var put, done sync.WaitGroup
	published := make(chan int, entries)
	put.Add(2)
	go func() {
		defer put.Done()
		defer close(published)
		for i := range lasting {
			m.Put(lasting[i], t0)
			published <- i
		}
	}()
	go func() {
		defer put.Done()
		for i := range entries {
			m.Put(session(fmt.Sprint("brief", i), time.Second), t0)
			if i%10 == 0 {
				m.Sweep(shardCount/4, t0.Add(time.Second))
			}
		}
	}()
	for range 2 {
		done.Go(func() {
			for i := range published {
				for _, j := range []int{i, i / 2, i / 3} { // of the other reader's too
					if !covered(m, lasting[j].Key(), 0, t0.Unix()) && j == i {
						t.Errorf("entry %d is missing", j)
					}
				}
				covered(m, session(fmt.Sprint("brief", i), 0).Key(), 0, t0.Unix())
			}
		})
	}
	put.Wait()
	done.Wait()
	for i := range lasting {
		if !covered(m, lasting[i].Key(), 0, t0.Unix()) {
			t.Fatalf("entry %d is missing at the end", i)
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Now()
	m := NewMirror(MirrorConfig{MaxStaleness: 5 * time.Second})
	if m.Complete() || !m.Stale(now) || m.Age(now) != math.MaxInt64 {
		t.Error("a mirror that was told nothing is trusted")
	}
	m.Current(now)
	if !m.Complete() || m.Stale(now.Add(5*time.Second)) || !m.Stale(now.Add(5*time.Second+1)) {
		t.Error("the bound does not hold")
	}
	if got := m.Age(now.Add(3 * time.Second)); got != 3*time.Second {
		t.Errorf("age %s", got)
	}
	m.Current(Always())
	if m.Age(now.Add(24*time.Hour)) != 0 {
		t.Error("a list that cannot fall behind has an age")
	}
	if strict := NewMirror(MirrorConfig{}); true {
		strict.Current(Always())
		if strict.Stale(now) {
			t.Error("a list that cannot fall behind is too old")
		}
		strict.Current(now)
		if !strict.Stale(now.Add(1)) {
			t.Error("without MaxStaleness an age is accepted")
		}
	}
}

// TestR23ClockStep: an age must not follow a clock that is set. Both times
// carry a monotonic reading, so only that counts.
func TestR23ClockStep(t *testing.T) {
	m := NewMirror(MirrorConfig{MaxStaleness: time.Second})
	at := time.Now()
	m.Current(at)
	if m.current.Load().String() == at.Round(0).String() {
		t.Fatal("the monotonic reading was lost")
	}
}

var million = sync.OnceValues(func() (*Mirror, []auth.RevocationKey) {
	m, keys := NewMirror(MirrorConfig{}), make([]auth.RevocationKey, 1_000_000)
	for i := range keys {
		r := session(i, time.Hour)
		m.Put(r, t0)
		keys[i] = r.Key()
	}
	return m, keys
})

func BenchmarkMirrorLookup(b *testing.B) {
	lookup := func(m *Mirror, keys []auth.RevocationKey, want bool) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			now := t0.Unix()
			i := 0
			for b.Loop() {
				// The keys are read in order, but lie all over the tables.
				if i++; i == len(keys) {
					i = 0
				}
				if (m.Covers(auth.KindSession, keys[i], 0, now) == auth.Covered) != want {
					b.Fatal("wrong answer")
				}
			}
		}
	}
	m, hits := million()
	misses := make([]auth.RevocationKey, len(hits))
	for i := range misses {
		misses[i] = session(-1-i, 0).Key()
	}
	b.Run("0", lookup(NewMirror(MirrorConfig{}), hits, false))
	b.Run("1e6/hit", lookup(m, hits, true))
	b.Run("1e6/miss", lookup(m, misses, false))
}

func BenchmarkMirrorPut(b *testing.B) {
	m := NewMirror(MirrorConfig{})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		m.Put(session(n, time.Hour), t0)
		n++
	}
	b.ReportMetric(float64(tableBytes(m))/float64(n), "B/entry")
}

func BenchmarkMirrorSweep(b *testing.B) {
	m, _ := million()
	for b.Loop() {
		m.Sweep(sweepPart, t0)
	}
}

func tableBytes(m *Mirror) (n uintptr) {
	n = unsafe.Sizeof(*m)
	for i := range m.shards {
		if t := m.shards[i].table.Load(); t != nil {
			n += unsafe.Sizeof(*t) + uintptr(len(*t))*unsafe.Sizeof(slot{})
		}
	}
	return n
}

// TestBytesPerEntry holds the mirror to 64 bytes an entry at every size.
func TestBytesPerEntry(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	for i := range 200_000 {
		m.Put(session(i, time.Hour), t0)
		if n := i + 1; n >= 20_000 && n%10_000 == 0 {
			if per := float64(tableBytes(m)) / float64(n); per > 64 {
				t.Errorf("%.1f bytes an entry with %d entries", per, n)
			}
		}
	}
}

// TestFind crafts keys that agree in one half, which hashes do not do.
func TestFind(t *testing.T) {
	tab := newTable(8)
	put := func(hi, lo, times uint64) {
		s, found := tab.find(hi, lo)
		if found {
			t.Errorf("%x %x is there already", hi, lo)
		}
		s.fill(hi, lo, times)
	}
	const last = math.MaxUint64 &^ kindMask // the end of the table, so that probing wraps
	put(1, last|1, 11)
	put(2, last|2, 12)
	put(0, 8|1, 13)
	put(0, 1, 14)
	for _, c := range []struct{ hi, lo, want uint64 }{
		{1, last, 11}, {1, last | 7, 11}, {2, last, 12}, {0, 8, 13}, {0, 0, 14}, {3, last, 0}, {1, 8, 0}, {1, 0, 0},
	} {
		s, found := tab.find(c.hi, c.lo)
		if found != (c.want != 0) || s.times.Load() != c.want {
			t.Errorf("%x %x: %d, want %d", c.hi, c.lo, s.times.Load(), c.want)
		}
	}
}

// TestR18WholeKey: every bit of a key but those that give way to the kind
// tells entries apart.
func TestR18WholeKey(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	r := session("s", time.Minute)
	m.Put(r, t0)
	for bit := range 128 - 3 {
		key := r.Key()
		key[bit/8] ^= 0x80 >> (bit % 8)
		if covered(m, key, 0, t0.Unix()) {
			t.Errorf("bit %d makes no difference", bit)
		}
	}
}

func TestTableBounds(t *testing.T) {
	ten := newTable(3)
	if len(ten) != 10 {
		t.Fatalf("%d slots", len(ten))
	}
	if ten.home(0) != 0 || ten.home(math.MaxUint64) != 9 || ten.home(1<<63) != 5 {
		t.Error("keys do not spread over the whole table")
	}
	for used, want := range map[int]bool{0: false, 4: false, 5: true, 9: true} {
		if ten.full(used) != want {
			t.Errorf("full with %d of 10 slots in use: %t", used, !want)
		}
	}
	if ten.anyOver(100) {
		t.Error("an empty slot is over")
	}
	ten[4].fill(1, 8|uint64(auth.KindToken), 100)
	if ten.anyOver(99) || !ten.anyOver(100) {
		t.Error("an entry is over at its until and not before")
	}
}

// TestSlotBeingFilled: a reader that comes between the stores of a writer sees
// an empty slot, not half an entry.
func TestSlotBeingFilled(t *testing.T) {
	m := NewMirror(MirrorConfig{})
	key := session("s", time.Minute).Key()
	hi, lo := split(key)
	table := newTable(1)
	s, _ := table.find(hi, lo)
	s.hi.Store(hi)
	s.times.Store(uint64(auth.Always)<<32 | uint64(t0.Add(time.Minute).Unix()))
	m.shards[hi>>56].table.Store(&table)
	if covered(m, key, 0, t0.Unix()) {
		t.Error("half an entry was found")
	}
}
