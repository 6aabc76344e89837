package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

// The model: a source that is what the package says of one, and no more, under
// replicas that are real feeds. It can lose all it has, or the last of it, and
// trim its log. Each replica is let run at least every modelPoll, as if it
// polled; settling is the source's own.
const (
	modelPoll     = 500 * time.Millisecond
	modelSettle   = 1500 * time.Millisecond
	modelRuns     = 100
	modelSteps    = 300
	modelReplicas = 4
	modelExact    = 2    // of them; the others have
	modelBytes    = 8192 // which some twenty entries fill
)

// errRound ends a Follow after one round.
var errRound = errors.New("one round")

type modelSource struct {
	life    int // changes with every loss
	seen    int // the life that anybody was last told of
	settled time.Time
	healing time.Time         // until when
	writes  []auth.Revocation // in order: what there is, and the log
	trimmed int               // how many of them the log no longer has
	vouched map[int][2]int    // life → a later one that has all again, up to how many

	down       error        // what nothing is confirmed or vouched for with
	confirming func()       // called with each question, before it is answered; may be nil
	changes    atomic.Int64 // by change
}

// change is for tests whose feed has a goroutine of its own, which is asleep
// when this is called: what it reads next was written before.
func (s *modelSource) change(how func()) {
	how()
	s.changes.Add(1)
}

func (s *modelSource) has(k auth.RevocationKey) bool {
	for _, w := range s.writes {
		if w.Key() == k {
			return true
		}
	}
	return false
}

// place notes, as a store does when it is asked, that this is another life.
func (s *modelSource) place(n int) Position {
	if s.seen != s.life {
		s.seen, s.settled = s.life, time.Now().Add(modelSettle)
	}
	return Position(fmt.Sprintf("%d %d", s.life, n))
}

func (s *modelSource) Snapshot(_ context.Context, yield func(Event) error) (Position, error) {
	s.changes.Load()
	at := s.place(len(s.writes))
	for _, w := range s.writes {
		if err := yield(Event{Op: Revoked, Revocation: w}); err != nil {
			return "", err
		}
	}
	return at, nil
}

func (s *modelSource) Follow(_ context.Context, from Position, yield func(Event) error) error {
	s.changes.Load()
	var life, n int
	if _, err := fmt.Sscanf(string(from), "%d %d", &life, &n); err != nil || life != s.life || n < s.trimmed || n > len(s.writes) {
		return ErrGap
	}
	for ; n < len(s.writes); n++ {
		if err := yield(Event{Op: Revoked, Revocation: s.writes[n], Time: time.Now(), Position: s.place(n + 1)}); err != nil {
			return err
		}
	}
	beat := Event{Op: Current, Time: time.Now(), Position: s.place(n), Healing: time.Now().Before(s.healing)}
	if time.Now().Before(s.settled) {
		beat.Op = Settling
	}
	if err := yield(beat); err != nil {
		return err
	}
	return errRound
}

func (s *modelSource) Restore(_ context.Context, entries []auth.Revocation) error {
	s.changes.Load()
	s.healing = time.Now().Add(time.Second)
	for _, e := range entries {
		if !s.has(e.Key()) {
			s.writes = append(s.writes, e)
		}
	}
	return nil
}

func (s *modelSource) Confirm(_ context.Context, since Position, asked ...auth.Revocation) (there []auth.Revocation, whole bool, err error) {
	s.changes.Load()
	if s.confirming != nil {
		s.confirming()
	}
	for _, r := range asked {
		if s.has(r.Key()) {
			there = append(there, entry(r.ID))
		}
	}
	var life, n int
	_, err = fmt.Sscanf(string(since), "%d %d", &life, &n)
	vouched, ok := s.vouched[life]
	return there, life == s.life && n >= s.trimmed || ok && vouched[0] == s.life && vouched[1] >= n, errors.Join(err, s.down)
}

func (s *modelSource) Vouch(_ context.Context, since, now Position) error {
	s.changes.Load()
	var from, n, to, m int
	if _, err := fmt.Sscanf(string(since)+" "+string(now), "%d %d %d %d", &from, &n, &to, &m); err != nil {
		return err
	}
	if s.down != nil {
		return s.down
	}
	if to == s.life && from != to && (s.vouched[from][0] != to || s.vouched[from][1] < n) {
		s.vouched[from] = [2]int{to, n}
	}
	return nil
}

type modelReplica struct {
	feed   *Feed
	mirror *Mirror
	ran    time.Time
	whole  *time.Time                  // what it last called itself whole as of
	knows  map[auth.RevocationKey]bool // what it was seen to deny
}

type model struct {
	t        *testing.T
	random   *rand.Rand
	source   *modelSource
	replicas []*modelReplica
	// promised are the entries that were acknowledged, and when: those that the
	// source or a replica has had ever since.
	promised map[auth.RevocationKey]time.Time
	written  map[auth.RevocationKey]auth.Revocation // all there ever were
	names    int
	trace    []string
}

func (m *model) start(i int) {
	cfg := MirrorConfig{MaxStaleness: time.Hour}
	if i >= modelExact {
		cfg.MaxBytes = modelBytes
	}
	mirror := NewMirror(cfg)
	feed, err := NewFeed(FeedConfig{Source: m.source, Mirror: mirror, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		m.t.Fatal(err)
	}
	m.replicas[i] = &modelReplica{feed: feed, mirror: mirror, knows: map[auth.RevocationKey]bool{}}
	m.step(i)
}

// step lets a replica do what it does within one poll.
func (m *model) step(i int) {
	r := m.replicas[i]
	for {
		err := r.feed.once(m.t.Context())
		if !errors.Is(err, ErrGap) {
			break
		}
		r.feed.position = ""
	}
	r.ran = time.Now()
}

// write is acknowledged; a replica that asked for it has it at once.
func (m *model) write() {
	m.names++
	e := entry(strconv.Itoa(m.names))
	m.source.writes = append(m.source.writes, e)
	m.promised[e.Key()], m.written[e.Key()] = time.Now(), e
	if i := m.random.IntN(2 * modelReplicas); i < modelReplicas {
		m.replicas[i].mirror.Put(e, time.Now())
	}
}

// lose takes the last writes away, as a failover does, or all of them.
func (m *model) lose(n int) {
	s := m.source
	s.life++
	s.writes = s.writes[:max(0, len(s.writes)-n)]
	s.trimmed = min(s.trimmed, len(s.writes))
	s.healing = time.Time{}
}

var modelMoves = []struct {
	name string
	do   func(*model)
}{
	{"write", (*model).write},
	{"write", (*model).write},
	{"follow", func(m *model) { m.step(m.random.IntN(modelReplicas)) }},
	{"follow", func(m *model) { m.step(m.random.IntN(modelReplicas)) }},
	{"wait", func(m *model) { time.Sleep(time.Duration(m.random.IntN(300)) * time.Millisecond) }},
	{"wait", func(m *model) { time.Sleep(time.Duration(m.random.IntN(300)) * time.Millisecond) }},
	{"flush", func(m *model) { m.lose(len(m.source.writes)) }},
	{"failover", func(m *model) { m.lose(m.random.IntN(4)) }},
	{"trim", func(m *model) { m.source.trimmed += m.random.IntN(len(m.source.writes) - m.source.trimmed + 1) }},
	{"restart", func(m *model) { m.start(m.random.IntN(modelReplicas)) }},
}

// check compares with the oracle. Whatever nobody has any more cannot be
// promised any longer; the rest is.
func (m *model) check(move string) {
	for _, r := range m.replicas {
		for k := range m.written { // also what is not promised any more
			e := m.written[k]
			c, err := r.mirror.Confirm(m.t.Context(), e, 0, time.Now().Unix())
			if (err != nil) != (c == auth.Unsure) {
				m.t.Errorf("%d, %v", c, err)
			}
			denied := c != auth.NotCovered
			if r.knows[k] && !denied {
				m.t.Errorf("after %v: a replica has forgotten an entry", m.trace)
			}
			if denied && (r.mirror.Complete() || c == auth.Covered) { // before that, who has a filter forgets it with what it was read from
				r.knows[k] = true
			}
		}
	}
	for k := range m.promised {
		kept := m.source.has(k)
		for _, r := range m.replicas {
			kept = kept || covered(r.mirror, k, 0, time.Now().Unix())
		}
		if !kept {
			if move != "flush" && move != "failover" && move != "restart" {
				m.t.Errorf("after %v: an entry was lost by a %s", m.trace, move)
			}
			delete(m.promised, k)
		}
	}
	for _, r := range m.replicas {
		at := r.mirror.current.Load()
		if at == nil || at == r.whole {
			continue
		}
		r.whole = at
		for k, written := range m.promised {
			if written.Before(*at) && !r.knows[k] {
				m.t.Errorf("after %v: a replica called itself whole and lacks an entry", m.trace)
			}
		}
	}
}

func (m *model) run() {
	m.replicas = make([]*modelReplica, modelReplicas)
	for i := range m.replicas {
		m.start(i)
	}
	for range modelSteps {
		move := modelMoves[m.random.IntN(len(modelMoves))]
		m.trace = append(m.trace, move.name)
		time.Sleep(time.Millisecond) // no two things at the same time
		move.do(m)
		m.check(move.name)
		m.poll("poll")
		if m.t.Failed() {
			return
		}
	}
	m.source.trimmed = 0
	for range 10 {
		time.Sleep(modelPoll)
		m.poll("end")
	}
	for k := range m.promised {
		if !m.source.has(k) {
			m.t.Errorf("after %v: the source has not got an entry back", m.trace)
		}
		for _, r := range m.replicas {
			if !r.knows[k] || r.mirror.Age(time.Now()) > modelPoll {
				m.t.Errorf("after %v: a replica lacks an entry in the end, or is %s old", m.trace, r.mirror.Age(time.Now()))
			}
		}
	}
}

// poll lets those run that would have by now.
func (m *model) poll(move string) {
	for i, r := range m.replicas {
		if time.Since(r.ran) >= modelPoll/2 {
			m.step(i)
			m.check(move)
		}
	}
}

// TestR15R17Model runs random interleavings of writes, losses, trimmed logs,
// and replicas that follow and restart.
func TestR15R17Model(t *testing.T) {
	for seed := range uint64(modelRuns) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{
				t: t, random: rand.New(rand.NewPCG(seed, 17)), source: &modelSource{vouched: map[int][2]int{}},
				promised: map[auth.RevocationKey]time.Time{}, written: map[auth.RevocationKey]auth.Revocation{},
			}
			m.run()
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
