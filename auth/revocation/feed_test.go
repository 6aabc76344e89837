package revocation

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

// script is a source that does in turn what it was given, one step a call, and
// then blocks.
type script struct {
	t     *testing.T
	mu    sync.Mutex // held over steps and calls
	steps []step
	calls []string // what was called, with the position
	ended bool     // the last call returned because its context was done
}

// step is one call: the events it tells, and what it returns. A follow without
// an error blocks.
type step struct {
	events []Event
	at     Position
	err    error
	runs   time.Duration // before it returns
}

func (s *script) take(call string) (now step, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	if len(s.steps) == 0 {
		return step{}, false
	}
	now = s.steps[0]
	s.steps = s.steps[1:]
	return now, true
}

func (s *script) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.steps)
}

func (s *script) next(call string, yield func(Event) error) step {
	now, ok := s.take(call)
	if !ok {
		return step{}
	}
	for _, e := range now.events {
		if e.Op == Current && e.Time.IsZero() {
			e.Time = time.Now()
		}
		if err := yield(e); err != nil {
			s.t.Errorf("yield: %v", err)
		}
	}
	time.Sleep(now.runs)
	return now
}

func (s *script) Snapshot(_ context.Context, yield func(Event) error) (Position, error) {
	now := s.next("snapshot", yield)
	return now.at, now.err
}

func (s *script) Follow(ctx context.Context, from Position, yield func(Event) error) error {
	if now := s.next("follow "+string(from), yield); now.err != nil {
		return now.err
	}
	<-ctx.Done()
	s.ended = true
	return ctx.Err()
}

func (s *script) Restore(_ context.Context, entries []auth.Revocation) error {
	call := "restore"
	for _, e := range entries {
		call += " key " + e.Kind.String()
		if !e.ByKey.Valid() {
			s.t.Errorf("written back: %+v", e)
		}
	}
	return s.next(call, nil).err
}

func (s *script) Confirm(context.Context, Position, ...auth.Revocation) ([]auth.Revocation, bool, error) {
	return nil, true, nil
}

func (s *script) Vouch(context.Context, Position, Position) error { return nil }

// run lets a feed read a script until nothing moves any more and then looks at
// what came of it.
func run(t *testing.T, steps []step, look func(*script, FeedConfig, string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &script{t: t, steps: steps}
		cfg := FeedConfig{
			Source: s, Mirror: NewMirror(MirrorConfig{MaxStaleness: 5 * time.Second}),
			Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		f, err := NewFeed(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		for range 100 {
			time.Sleep(time.Second / 4)
			synctest.Wait()
			if s.left() == 0 {
				break
			}
		}
		look(s, cfg, log.String())
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
}

func revoked(id string) Event { return Event{Op: Revoked, Revocation: entry(id)} }

func entry(id string) auth.Revocation {
	// synctest begins in the year 2000
	return auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: id, Until: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func key(b byte) auth.APIKey { return auth.APIKey{ID: "app", SHA256: [32]byte{b}} }

func has(m *Mirror, id string) bool { return covered(m, entry(id).Key(), 0, time.Now().Unix()) }

func wantCalls(t *testing.T, s *script, want ...string) {
	t.Helper()
	if got := strings.Join(s.calls, ", "); got != strings.Join(want, ", ") {
		t.Errorf("calls: %s\nwant:  %s", got, strings.Join(want, ", "))
	}
}

var errDown = errors.New("the store is down")

func TestFeedFollows(t *testing.T) {
	var took []time.Duration
	at := func(e Event, p Position, age time.Duration) Event {
		e.Position, e.Time = p, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-age)
		return e
	}
	run(t, []step{
		{events: []Event{{Op: KeyPut, Key: key(1)}, {Op: KeyPut, Key: key(2)}, revoked("a")}, at: "0"},
		{events: []Event{
			at(revoked("b"), "1", 3*time.Millisecond),
			at(Event{Op: KeyDeleted, Key: key(1)}, "2", 0),
			at(Event{Op: KeyPut, Key: key(3)}, "3", -time.Second),
		}, err: errDown},
	}, func(s *script, cfg FeedConfig, _ string) {
		wantCalls(t, s, "snapshot", "follow 0", "follow 3")
		if !has(cfg.Mirror, "a") || !has(cfg.Mirror, "b") || has(cfg.Mirror, "c") {
			t.Error("not the entries that were told")
		}
		sums := map[byte]bool{}
		for _, k := range cfg.Keys.All() {
			sums[k.SHA256[0]] = true
		}
		if len(sums) != 2 || !sums[2] || !sums[3] {
			t.Errorf("not the keys that were told: %v", sums)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f, err := NewFeed(FeedConfig{
			Source: &script{}, Mirror: NewMirror(MirrorConfig{}), Keys: &auth.StoredAPIKeys{},
			Log:         slog.New(slog.DiscardHandler),
			Propagation: func(d time.Duration) { took = append(took, d) },
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, age := range []time.Duration{3 * time.Millisecond, -time.Second} {
			e := revoked("x")
			e.Time = time.Now().Add(-age)
			_ = f.apply(t.Context(), e)
		}
		_ = f.apply(t.Context(), Event{Op: Current, Time: time.Now().Add(-time.Hour)})
		if age := f.cfg.Mirror.Age(time.Now()); age != time.Hour {
			t.Errorf("an hour old, and the age is %s", age)
		}
		if len(took) != 2 || took[0] != 3*time.Millisecond || took[1] != 0 {
			t.Errorf("propagation: %v", took)
		}
	})
}

func TestFeedStart(t *testing.T) {
	// No entry of a part of the list is lost, but it is not the whole list.
	synctest.Test(t, func(t *testing.T) {
		m := NewMirror(MirrorConfig{MaxStaleness: time.Hour})
		f, _ := NewFeed(FeedConfig{
			Source: &script{t: t, steps: []step{{events: []Event{revoked("part"), {Op: KeyPut, Key: key(1)}}, err: errDown}}},
			Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler),
		})
		if err := f.once(t.Context()); !errors.Is(err, errDown) {
			t.Fatal(err)
		}
		if m.Complete() || !m.Stale(time.Now()) || !has(m, "part") || len(f.cfg.Keys.All()) != 0 {
			t.Error("a snapshot that failed counts as whole")
		}
	})
}

// TestFeedPauses: attempts come quickly at first and then some in a second,
// and the end does not wait for the next.
func TestFeedPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t}
		for range 1000 {
			s.steps = append(s.steps, step{err: errDown})
		}
		f, _ := NewFeed(FeedConfig{Source: s, Mirror: NewMirror(MirrorConfig{}), Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.calls); n < 240 || n > 500 {
			t.Errorf("%d attempts in a minute", n)
		}
		cancelled := time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(cancelled) != 0 {
			t.Errorf("Run returned %v after %s", err, time.Since(cancelled))
		}
	})
}

// TestFeedLogs: each time that the store goes away is told once, and that it
// is back.
func TestFeedLogs(t *testing.T) {
	run(t, []step{{err: errDown}, {err: errDown}, {at: "0"}, {events: []Event{{Op: Current, Position: "1"}}, err: errDown}, {err: errDown}}, func(_ *script, _ FeedConfig, log string) {
		if away, back := strings.Count(log, "level=ERROR"), strings.Count(log, "up to date again"); away != 2 || back != 1 {
			t.Errorf("away %d times, back %d times:\n%s", away, back, log)
		}
	})
}

// TestFeedLogsWhatItRead: a healthy feed tells of its snapshot, has nothing to
// recover from, and ends without a word.
func TestFeedLogsWhatItRead(t *testing.T) {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, steps: []step{{events: []Event{revoked("a"), revoked("b"), {Op: KeyPut, Key: key(1)}}, at: "0"}}}
		f, _ := NewFeed(FeedConfig{Source: s, Mirror: NewMirror(MirrorConfig{}), Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		_ = f.Run(ctx)
	})
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "entries=2 api_keys=1") {
		t.Errorf("logged:\n%s", got)
	}
}

// TestFeedRecoversWhileFollowing: a position that is still good needs no
// snapshot, and the first sign of life says that the store is back.
func TestFeedRecoversWhileFollowing(t *testing.T) {
	run(t, []step{{at: "0"}, {err: errDown}, {events: []Event{{Op: Current, Position: "1"}}}}, func(s *script, _ FeedConfig, log string) {
		wantCalls(t, s, "snapshot", "follow 0", "follow 0")
		if strings.Count(log, "up to date again") != 1 {
			t.Errorf("logged:\n%s", log)
		}
	})
}

// breaking is a source that fails at once, but for the last time, when it held
// for a while before.
type breaking struct {
	Source
	calls  int
	broke  time.Time
	paused chan time.Duration // until it was asked again
}

func (b *breaking) Snapshot(context.Context, func(Event) error) (Position, error) {
	const last = 20
	switch b.calls++; b.calls {
	case last:
		time.Sleep(heldFor + 1)
		b.broke = time.Now()
	case last + 1:
		b.paused <- time.Since(b.broke)
	}
	return "", errDown
}

// TestFeedPausesAnew: a source that failed after it held for a while is asked
// again at once, however often it failed before.
func TestFeedPausesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &breaking{paused: make(chan time.Duration)}
		f, _ := NewFeed(FeedConfig{Source: s, Mirror: NewMirror(MirrorConfig{}), Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		if pause := <-s.paused; pause > minPause {
			t.Errorf("asked again after %s", pause)
		}
		cancel()
		<-ended
	})
}

func TestFeedSweepsOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMirror(MirrorConfig{})
		f, _ := NewFeed(FeedConfig{Source: &script{}, Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
		for range 10 {
			_ = f.apply(t.Context(), Event{Op: Current, Time: time.Now()})
			time.Sleep(sweepEvery / 10)
		}
		if n := m.next.Load(); n != sweepPart {
			t.Errorf("%d shards were swept within a second", n)
		}
	})
}

func TestFeedNeedsItsParts(t *testing.T) {
	for i := range 4 {
		cfg := FeedConfig{Source: &script{}, Mirror: NewMirror(MirrorConfig{}), Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)}
		switch i {
		case 0:
			cfg.Source = nil
		case 1:
			cfg.Mirror = nil
		case 2:
			cfg.Keys = nil
		case 3:
			cfg.Log = nil
		}
		if _, err := NewFeed(cfg); err == nil {
			t.Errorf("part %d is missing: no error", i)
		}
	}
}

// TestR17Gap: a log that was lost is read anew; what is known stays revoked,
// and keys that are gone are gone.
func TestR17Gap(t *testing.T) {
	run(t, []step{
		{events: []Event{revoked("a"), {Op: KeyPut, Key: key(1)}}, at: "epoch1"},
		{events: []Event{{Op: Current, Position: "epoch1 later"}}, err: ErrGap},
		{events: []Event{revoked("b"), {Op: KeyPut, Key: key(2)}}, at: "epoch2"},
		{}, // announced
		{events: []Event{{Op: Settling, Position: "epoch2"}, {Op: Settling, Position: "epoch2"}}},
		{}, // written back
	}, func(s *script, cfg FeedConfig, log string) {
		wantCalls(t, s, "snapshot", "follow epoch1", "snapshot", "restore", "follow epoch2", "restore key sid")
		if !has(cfg.Mirror, "a") || !has(cfg.Mirror, "b") {
			t.Error("an entry was forgotten")
		}
		if keys := cfg.Keys.All(); len(keys) != 1 || keys[0].SHA256 != key(2).SHA256 {
			t.Errorf("keys: %v", keys)
		}
		if !strings.Contains(log, "level=WARN") {
			t.Errorf("the gap is not logged:\n%s", log)
		}
	})
}

// TestR12StoreDown: while the store is away the list grows old; known entries
// hold on; and it is fresh again at most a pause after the store is back.
func TestR12StoreDown(t *testing.T) {
	steps := []step{{events: []Event{revoked("a")}, at: "0"}}
	for range 6 { // 6 s, and pauses of at most 20, 40 … 250 ms
		steps = append(steps, step{err: errDown, runs: time.Second})
	}
	steps[1].events = []Event{{Op: Current, Position: "0"}}
	steps = append(steps, step{events: []Event{{Op: Current, Position: "1"}}})
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, steps: steps}
		m := NewMirror(MirrorConfig{MaxStaleness: 5 * time.Second})
		f, _ := NewFeed(FeedConfig{Source: s, Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		time.Sleep(5 * time.Second)
		if m.Stale(time.Now()) {
			t.Error("stale before its time")
		}
		time.Sleep(time.Millisecond)
		if !m.Stale(time.Now()) || !m.Complete() || !has(m, "a") {
			t.Error("after 5 s the list should be stale, and what it has should hold")
		}
		time.Sleep(2300 * time.Millisecond)
		if m.Stale(time.Now()) {
			t.Error("the feed has not come back")
		}
		cancel()
		if err := <-ended; err != nil || !s.ended {
			t.Errorf("Run: %v; followed to the end: %v", err, s.ended)
		}
	})
}

// TestFeedSweeps: following sweeps what is over.
func TestFeedSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMirror(MirrorConfig{})
		f, _ := NewFeed(FeedConfig{Source: &script{}, Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler)})
		for _, id := range []string{"a", "b", "c"} {
			r := entry(id)
			r.Until = time.Now().Add(time.Minute)
			m.Put(r, time.Now())
		}
		time.Sleep(time.Minute)
		for range shardCount / sweepPart {
			time.Sleep(sweepEvery)
			_ = f.apply(t.Context(), Event{Op: Current, Time: time.Now()})
		}
		if n := m.Len()[auth.KindSession]; n != 0 {
			t.Errorf("%d entries are left", n)
		}
	})
}
