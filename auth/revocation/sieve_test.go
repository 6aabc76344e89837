package revocation

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

// asked is a source that is asked about entries.
type asked struct {
	mu    sync.Mutex
	there map[auth.RevocationKey]auth.Revocation
	calls int
	whole bool
	err   error
	begin func() // called with each question, before it is answered; may be nil
}

func (a *asked) Confirm(_ context.Context, _ Position, entries ...auth.Revocation) (there []auth.Revocation, whole bool, err error) {
	if a.begin != nil {
		a.begin()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	for _, r := range entries {
		if e, ok := a.there[r.Key()]; ok {
			there = append(there, e)
		}
	}
	return there, a.whole, a.err
}

func (a *asked) Vouch(context.Context, Position, Position) error { return nil }

// narrowMirror returns a mirror that has a sieve, and what it asks.
func narrowMirror(bytes int) (*Mirror, *asked) {
	m, a := NewMirror(MirrorConfig{MaxBytes: bytes}), &asked{there: map[auth.RevocationKey]auth.Revocation{}, whole: true}
	var source Confirmer = a
	var since Position = "here"
	m.source.Store(&source)
	m.since.Store(&since)
	m.narrow(t0)
	return m, a
}

func (a *asked) add(r auth.Revocation) { a.there[r.Key()] = r }

// TestFilterRate: a filter of ten bits an entry has every entry, and one in a
// hundred that is none.
func TestFilterRate(t *testing.T) {
	const entries = 200_000
	f, rnd := newFilter(entries*10/8), rand.New(rand.NewPCG(1, 1))
	keys := make([][2]uint64, entries)
	for i := range keys {
		keys[i] = [2]uint64{rnd.Uint64(), rnd.Uint64()&^kindMask | uint64(auth.KindSession)}
		f.add(keys[i][0], keys[i][1], uint64(i))
	}
	for _, k := range keys {
		if !f.has(k[0], k[1]) || !f.has(k[0], k[1]&^kindMask) {
			t.Fatal("an entry is missing")
		}
	}
	mistaken := 0
	for range entries {
		if f.has(rnd.Uint64(), rnd.Uint64()) {
			mistaken++
		}
	}
	if rate := float64(mistaken) / entries; rate > 0.0125 || rate < 0.005 {
		t.Errorf("mistaken about %.2f %%", 100*rate)
	}
	if f.entries() != entries || f.added[auth.KindSession].Load() != entries || f.until.Load() != entries-1 {
		t.Errorf("%d entries, the last until %d", f.entries(), f.until.Load())
	}
}

// TestSieveAgreesWithMirror: a mirror with a sieve denies what one without does,
// by asking, and nothing else.
func TestSieveAgreesWithMirror(t *testing.T) {
	m, source := narrowMirror(1 << 14) // whose filter is mistaken about many
	exact, rnd := NewMirror(MirrorConfig{}), rand.New(rand.NewPCG(1, 2))
	now := t0
	var names []auth.Revocation
	for i := range 3000 {
		names = append(names, auth.Revocation{Kind: auth.Kinds()[i%6], Issuer: "main", ID: strconv.Itoa(i)})
	}
	for range 20_000 {
		r := names[rnd.IntN(len(names))]
		if rnd.IntN(3) == 0 && rnd.IntN(3000) < 2000 {
			r.Before, r.Until = t0.Add(time.Duration(rnd.IntN(1000))*time.Second), t0.Add(time.Duration(1000+rnd.IntN(600))*time.Second) // none is over
			exact.Put(r, now)
			if old, ok := source.there[r.Key()]; ok {
				r.Before, r.Until = later(r.Before, old.Before), later(r.Until, old.Until)
			}
			source.add(r)
			m.put(r, now, rnd.IntN(2) == 0)
		}
		if rnd.IntN(100) == 0 {
			now = now.Add(time.Second)
		}
		r = names[rnd.IntN(len(names))]
		begun := t0.Add(time.Duration(rnd.IntN(1000)) * time.Second).Unix()
		want := exact.Covers(r.Kind, r.Key(), begun, now.Unix())
		if got := m.Covers(r.Kind, r.Key(), begun, now.Unix()); got != want && (got != auth.Unsure || pinned[r.Kind]) {
			t.Fatalf("%s %s: %d, want %d or unsure", r.Kind, r.ID, got, want)
		}
		if got, err := m.Confirm(t.Context(), r, begun, now.Unix()); got != want || err != nil {
			t.Fatalf("%s %s confirmed: %d %v, want %d", r.Kind, r.ID, got, err, want)
		}
	}
	if source.calls == 0 || source.calls > 20_000/2 {
		t.Errorf("the source was asked %d times", source.calls)
	}
}

// TestSieveRemembers: an answer is asked for once; an entry that comes later
// counts, whatever was remembered.
func TestSieveRemembers(t *testing.T) {
	m, source := narrowMirror(1 << 16)
	confirm := func(r auth.Revocation, begun time.Time, want auth.Coverage, calls int) {
		t.Helper()
		got, err := m.Confirm(t.Context(), r, begun.Unix(), t0.Unix())
		if got != want || (err != nil) != (want == auth.Unsure) || source.calls != calls {
			t.Errorf("%s: %d, %v after %d calls; want %d after %d", r.ID, got, err, source.calls, want, calls)
		}
	}
	confirm(session("good", 0), t0, auth.NotCovered, 0)
	there := session("there", time.Hour)
	source.add(there)
	m.put(there, t0, false)
	for range 2 {
		confirm(there, t0, auth.Covered, 1)
	}
	mistaken := session("mistaken", time.Hour)
	m.put(mistaken, t0, false) // the filter has it, and the source has not
	for range 2 {
		confirm(mistaken, t0, auth.NotCovered, 2)
	}
	m.Put(mistaken, t0)
	confirm(mistaken, t0, auth.Covered, 2)
	// One that the log has told may be less than what the source has under
	// another name.
	early, late := subject(t0), subject(t0.Add(time.Hour))
	source.add(late)
	m.Put(early, t0)
	confirm(early, t0, auth.Covered, 2)
	confirm(early, t0.Add(time.Minute), auth.Covered, 3)
	confirm(early, t0.Add(2*time.Hour), auth.NotCovered, 3)
	// Nothing is remembered of a source that cannot be had, or has lost something.
	lost := session("lost", time.Hour)
	m.put(lost, t0, false)
	source.err = errors.New("down")
	confirm(lost, t0, auth.Unsure, 4)
	if m.sieve.Load().answers.find(split(lost.Key())) != nil {
		t.Error("a failure is remembered")
	}
	source.err, source.whole = nil, false
	confirm(lost, t0, auth.Unsure, 5)
	source.add(lost)
	confirm(lost, t0, auth.Covered, 6)
	source.there = nil
	confirm(lost, t0, auth.Covered, 6)
	// Nor what else it might have of one that it has.
	partly := subject(t0)
	partly.ID = "partly"
	m.put(partly, t0, false)
	source.there = map[auth.RevocationKey]auth.Revocation{partly.Key(): partly}
	confirm(partly, t0, auth.Covered, 7)
	confirm(partly, t0.Add(time.Minute), auth.Unsure, 8)
	// What is known by its key alone is one that is as well.
	m.Put(auth.Revocation{Kind: auth.KindSession, ByKey: session("key", 0).Key(), Until: t0.Add(time.Hour)}, t0)
	confirm(session("key", 0), t0, auth.Covered, 8)
	source.err = errors.New("down")
	if _, err := m.Confirm(t.Context(), partly, t0.Add(time.Minute).Unix(), t0.Unix()); err != source.err {
		t.Errorf("the store could not be had: %v", err)
	}
}

// TestSieveAsksOnce: who asks at the same time shares a question, and an entry
// that is heard of meanwhile counts.
func TestSieveAsksOnce(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile bool
		want      auth.Coverage
	}{
		"not there":       {false, auth.NotCovered},
		"heard meanwhile": {true, auth.Covered},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, source := narrowMirror(1 << 16)
			r, answer := session("s", time.Hour), make(chan struct{})
			m.put(r, t0, false)
			source.begin = func() { <-answer }
			got := make(chan auth.Coverage, 10)
			for range cap(got) {
				go func() {
					c, err := m.Confirm(t.Context(), r, 0, t0.Unix())
					if err != nil {
						t.Error(err)
					}
					got <- c
				}()
			}
			gone, cancel := context.WithCancel(t.Context())
			synctest.Wait()
			left := make(chan error)
			go func() {
				_, err := m.Confirm(gone, r, 0, t0.Unix())
				left <- err
			}()
			synctest.Wait()
			cancel()
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: who has gone away: %v", name, err)
			}
			if c.meanwhile {
				m.Put(r, t0)
			}
			close(answer)
			for range cap(got) {
				if g := <-got; g != c.want {
					t.Errorf("%s: %d", name, g)
				}
			}
			if g := m.Covers(auth.KindSession, r.Key(), 0, t0.Unix()); g != c.want || source.calls != 1 {
				t.Errorf("%s: remembered %d after %d questions", name, g, source.calls)
			}
		})
	}
}

// TestSieveOutlivesAPanic: a question that ends in a panic keeps nobody waiting,
// says nothing of the entry, and the next is asked anew.
func TestSieveOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, source := narrowMirror(1 << 16)
		r, answer := session("s", time.Hour), make(chan struct{})
		m.put(r, t0, false)
		source.begin = func() { <-answer; panic("a fault of ours") }
		go func() {
			defer func() { _ = recover() }()
			_, _ = m.Confirm(t.Context(), r, 0, t0.Unix())
			t.Error("the panic is kept from who has asked")
		}()
		synctest.Wait()
		waiting := make(chan error)
		go func() {
			_, err := m.Confirm(t.Context(), r, 0, t0.Unix())
			waiting <- err
		}()
		synctest.Wait()
		close(answer)
		if err := <-waiting; !errors.Is(err, errNoAnswer) {
			t.Errorf("who waited for it: %v", err)
		}
		source.begin = nil
		if c, err := m.Confirm(t.Context(), r, 0, t0.Unix()); c != auth.NotCovered || err != nil {
			t.Errorf("asked again: %d, %v", c, err)
		}
	})
}

// TestSieveNeverForgets is for the race detector, and for an entry that was put
// to be denied from then on, while tables are emptied and filters made anew.
func TestSieveNeverForgets(t *testing.T) {
	const entries = 6000
	m := NewMirror(MirrorConfig{MaxBytes: 1 << 16})
	var stored sync.Map // what the source has
	published := make(chan auth.RevocationKey, entries)
	var writing, reading sync.WaitGroup
	writing.Go(func() {
		defer close(published)
		for i := range entries {
			r := session(i, time.Hour)
			stored.Store(r.Key(), r)
			m.Put(r, t0)
			published <- r.Key()
		}
	})
	stop := make(chan struct{})
	reading.Go(func() { // the feed: it reads all, and puts the fresh filter in force
		for {
			select {
			case <-stop:
				return
			default:
			}
			if s := m.sieve.Load(); s != nil {
				s.begin()
				stored.Range(func(_, r any) bool { m.put(r.(auth.Revocation), t0, false); return true })
				s.renew()
			}
			m.Sweep(shardCount/8, t0)
		}
	})
	for range 2 {
		reading.Go(func() {
			var before []auth.RevocationKey
			for k := range published {
				before = append(before, k)
				for _, k := range []auth.RevocationKey{k, before[len(before)/2], before[len(before)/3]} {
					if m.Covers(auth.KindSession, k, 0, t0.Unix()) == auth.NotCovered {
						t.Error("an entry is let in")
						return
					}
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	if m.FilterBits() == 0 {
		t.Error("there is no filter")
	}
}

// What was heard while a filter is made anew and the source did not tell yet, is
// in that as well.
func TestRenewKeepsAnswers(t *testing.T) {
	m, _ := narrowMirror(1 << 16)
	r := session("s", time.Hour)
	m.Put(r, t0)
	m.sieve.Load().begin()
	m.sieve.Load().renew()
	if c := m.Covers(auth.KindSession, r.Key(), 0, t0.Unix()); c != auth.Covered {
		t.Errorf("%d", c)
	}
}

// TestReadersTakeNoLock: a look-up ends while every lock is held.
func TestReadersTakeNoLock(t *testing.T) {
	m, _ := narrowMirror(1 << 16)
	r, client := session("s", time.Hour), auth.Revocation{Kind: auth.KindClient, Issuer: "main", ID: "c", Until: t0.Add(time.Hour)}
	m.Put(r, t0)
	m.Put(client, t0)
	for i := range m.shards {
		m.shards[i].mu.Lock()
	}
	m.sieve.Load().mu.Lock()
	m.narrowing.Lock()
	done := make(chan [3]auth.Coverage)
	go func() {
		done <- [3]auth.Coverage{
			m.Covers(r.Kind, r.Key(), 0, t0.Unix()), m.Covers(client.Kind, client.Key(), 0, t0.Unix()),
			m.Covers(auth.KindSession, session("other", 0).Key(), 0, t0.Unix()),
		}
	}()
	select {
	case got := <-done:
		if got != [3]auth.Coverage{auth.Covered, auth.Covered, auth.NotCovered} {
			t.Error(got)
		}
	case <-time.After(10 * time.Second):
		t.Error("a look-up waits for a lock")
	}
}

// TestMaxBytes: whatever comes, the mirror stays within its bound, also while the
// list is read again.
func TestMaxBytes(t *testing.T) {
	const bound = 4 << 20
	m := NewMirror(MirrorConfig{MaxBytes: bound})
	size := func() (n int) {
		if s := m.sieve.Load(); s != nil {
			for _, f := range []*filter{s.filter.Load(), s.fresh.Load()} {
				if f != nil {
					n += len(f.blocks) * blockBytes
				}
			}
			n += len(s.answers.sets) * len(answerSet{}) * answerBytes
		}
		return n + int(tableBytes(m))
	}
	narrowed := 0
	for i := range 300_000 {
		m.Put(session(i, time.Hour), t0)
		if narrowed == 0 && m.FilterBits() > 0 {
			narrowed = i
			m.sieve.Load().begin()
		}
		if i%1000 == 0 && size() > bound {
			t.Fatalf("%d bytes with %d entries", size(), i)
		}
	}
	if narrowed < 30_000 || narrowed > 50_000 {
		t.Errorf("a filter after %d entries", narrowed)
	}
	if n := m.Len()[auth.KindSession]; n != 300_000 {
		t.Errorf("%d entries", n)
	}
	if m.slots.Load() != 0 {
		t.Errorf("%d slots are left in the tables", m.slots.Load())
	}
}

// TestNarrowed: what a filter stands for when it is made, and what it does not.
func TestNarrowed(t *testing.T) {
	m := NewMirror(MirrorConfig{MaxBytes: 1 << 20})
	gone, client := session("gone", time.Minute), auth.Revocation{Kind: auth.KindClient, Issuer: "main", ID: "app", Until: t0.Add(time.Hour)}
	for _, r := range []auth.Revocation{gone, client, session("1", time.Hour), session("2", time.Hour)} {
		m.Put(r, t0)
	}
	if !m.knows(gone) {
		t.Error("all is known exactly without a filter")
	}
	m.narrow(gone.Until)
	f := m.sieve.Load().filter.Load()
	if f.entries() != 2 || f.base.Load() != 2 || f.added[auth.KindSession].Load() != 2 {
		t.Errorf("%d entries, %d at first", f.entries(), f.base.Load())
	}
	if n := m.Len(); n[auth.KindClient] != 1 || n[auth.KindSession] != 2 {
		t.Errorf("%v", n)
	}
	m.put(session("3", time.Hour), t0, false)
	m.sieve.Load().answers.put(4, uint64(auth.KindSession), 0, true)
	nothing := auth.Revocation{Kind: auth.KindSession, ByKey: auth.RevocationKey{7: 4}}
	for i, want := range map[*auth.Revocation]bool{&client: true, {Kind: auth.KindSession, Issuer: "main", ID: "1"}: true, {Kind: auth.KindSession, Issuer: "main", ID: "3"}: false, &nothing: false} {
		if m.knows(*i) != want {
			t.Errorf("%+v: known exactly %t", i, !want)
		}
	}
}

// TestConfirmUnfed: who cannot be asked does not answer, and each answer is
// counted.
func TestConfirmUnfed(t *testing.T) {
	m, source := narrowMirror(1 << 16)
	var counted []auth.Coverage
	m.cfg = NewMirror(MirrorConfig{MaxBytes: 1 << 16, Confirmed: func(c auth.Coverage) { counted = append(counted, c) }}).cfg
	r := session("x", time.Hour)
	m.put(r, t0, false)
	had, since := m.source.Load(), m.since.Load()
	for _, take := range []func(){func() { m.source.Store(nil) }, func() { m.source.Store(had); m.since.Store(nil) }} {
		take()
		if c, err := m.Confirm(t.Context(), r, 0, t0.Unix()); c != auth.Unsure || !errors.Is(err, errDoubt) {
			t.Errorf("%d %v", c, err)
		}
	}
	m.since.Store(since)
	source.add(r)
	if c, err := m.Confirm(t.Context(), r, 0, t0.Unix()); c != auth.Covered || err != nil || len(counted) != 1 || counted[0] != c {
		t.Errorf("%d %v, counted %v", c, err, counted)
	}
}

// TestFilterUntil: the last end is that of the entry that ends last.
func TestFilterUntil(t *testing.T) {
	f := newFilter(blockBytes)
	for _, until := range []uint64{7, 9, 8} {
		f.add(until, uint64(auth.KindSession), until)
	}
	if got := f.until.Load(); got != 9 {
		t.Errorf("%d", got)
	}
}
