package keyset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A key is published, signs, retires and is gone, each at its time.
func TestRingSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		cfg := ringConfig(newRingStore())
		cfg.RotateEvery = rotateEvery
		r, _ := runRing(t, cfg)
		pass(poll - time.Millisecond)
		if r.Ready() {
			t.Error("there is a key before other replicas could write theirs back")
		}
		pass(poll)
		first := r.Signer()
		if !r.Ready() || first == nil || first.Algorithm != "ES256" || r.Find(first.ID) != first {
			t.Fatalf("no first key: %v", first)
		}
		made := r.List()[0].Created
		if made.Before(began.Add(poll)) || r.List()[0].SignsFrom != made || !r.List()[0].RetiresAt.IsZero() {
			t.Errorf("the first key: %+v", r.List()[0])
		}
		for _, step := range []struct {
			at   time.Duration // after the first key was made
			want string
		}{
			{rotateEvery - time.Second, "[signing]"},
			{rotateEvery + poll, "[signing published]"},
			{rotateEvery + publishFor - time.Second, "[signing published]"},
			{rotateEvery + publishFor + 2*poll, "[retiring signing]"},
			{rotateEvery + publishFor + retireAfter - time.Second, "[retiring signing]"},
			{rotateEvery + publishFor + retireAfter + 2*poll, "[signing]"},
			{2*rotateEvery + 2*poll, "[signing published]"},
		} {
			pass(time.Until(made.Add(step.at)))
			if got := fmt.Sprint(states(r)); got != step.want {
				t.Errorf("%s after the first key was made: %s, want %s", step.at, got, step.want)
			}
		}
		if r.Find(first.ID) != nil || r.Signer() == first {
			t.Error("the first key is still there")
		}
		second := r.List()[0]
		if second.SignsFrom.Sub(second.Created) != publishFor || r.List()[1].SignsFrom.Add(retireAfter) != second.RetiresAt {
			t.Errorf("the second key: %+v", second)
		}
	})
}

// A key must stay the same value for as long as it is in the ring: everything
// that was verified with it hangs on that.
func TestRingKeepsItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		r, _ := runRing(t, ringConfig(store))
		pass(2 * poll)
		first := r.Signer()
		if _, err := newLoaded(t, store).Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			pass(2 * poll)
			if len(r.All()) != 2 || r.Find(first.ID) != first {
				t.Fatal("the key was read anew")
			}
		}
		pass(publishFor)
		if r.Signer() == first || r.Find(first.ID) != first {
			t.Error("the old key still signs, or is not the same any more")
		}
	})
}

func newLoaded(t *testing.T, store *ringStore) *Ring {
	t.Helper()
	r := newRing(t, ringConfig(store))
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRotateByCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		_, end := runRing(t, ringConfig(store))
		pass(2 * poll)
		cfg := ringConfig(store)
		cfg.Algorithm = "EdDSA"
		command := newRing(t, cfg) // reads by itself
		key, err := command.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if key.State != KeyPublished || key.Algorithm != "EdDSA" || key.SignsFrom.Sub(key.Created) != publishFor || !key.Created.Equal(time.Now()) {
			t.Errorf("the new key: %+v", key)
		}
		if got := fmt.Sprint(states(command)); got != "[signing published]" {
			t.Errorf("the command sees %s", got)
		}
		if command.Find(key.KID) == nil || command.Signer().ID == key.KID {
			t.Error("the new key is not known, or signs at once")
		}
		for behind, want := range map[time.Duration]string{0: key.KID, time.Nanosecond: command.Signer().ID} {
			cfg.Now = func() time.Time { return key.SignsFrom.Add(-behind) }
			if r := newRing(t, cfg); r.Load(t.Context()) != nil || r.Signer().ID != want {
				t.Errorf("%s before the new key signs %s does, want %s", behind, r.Signer().ID, want)
			}
		}
		end() // RotateEvery 0: nothing happens without a command
		r, _ := runRing(t, ringConfig(store))
		pass(2 * retireAfter)
		if got := kids(r); !slices.Equal(got, []string{key.KID}) {
			t.Errorf("keys %q, want %q", got, key.KID)
		}
	})
}

// The store keeps a retired key for as long as a clock may be behind, and no
// longer.
func TestRetiredKeysLeaveTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		r, end := runRing(t, ringConfig(store))
		pass(2 * poll)
		key, err := r.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Until(key.SignsFrom.Add(retireAfter + publishFor/2)))
		if len(r.All()) != 1 || len(stored(t, store)) != 2 {
			t.Errorf("%d keys verify, %d are stored, want 1 and 2", len(r.All()), len(stored(t, store)))
		}
		pass(publishFor/2 + 2*poll)
		if len(r.All()) != 1 || len(stored(t, store)) != 1 {
			t.Errorf("%d keys verify, %d are stored, want 1 and 1", len(r.All()), len(stored(t, store)))
		}
		if store.puts != 3 {
			t.Errorf("%d writes, want one for each key, and one to drop the old", store.puts)
		}
		// One goes and one comes in the same write.
		if key, err = r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		end()
		pass(2 * rotateEvery)
		cfg := ringConfig(store)
		cfg.RotateEvery = rotateEvery
		r, _ = runRing(t, cfg)
		pass(poll)
		if got := stored(t, store); fmt.Sprint(states(r)) != "[signing published]" || r.Signer().ID != key.KID || len(got) != 2 || got[0].KID != key.KID {
			t.Errorf("%d keys are stored, those known are %v", len(got), states(r))
		}
	})
}

func TestFullRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		cfg := ringConfig(store)
		cfg.RotateEvery = retireAfter / 2
		r, _ := runRing(t, cfg)
		pass(2 * poll)
		store.write = func() (bool, error) { return true, errDown } // also the last is known to be there
		for i := 1; i < maxRingKeys; i++ {
			if _, err := r.Rotate(t.Context()); err != nil {
				t.Fatalf("key %d: %v", i+1, err)
			}
		}
		store.write = nil
		if _, err := r.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "the oldest retires at "+r.List()[0].RetiresAt.Format(time.RFC3339)) {
			t.Errorf("one key more: %v", err)
		}
		pass(retireAfter - 2*poll)
		if n := len(r.All()); n != maxRingKeys {
			t.Errorf("%d keys, want %d: none more by schedule", n, maxRingKeys)
		}
		pass(publishFor + 4*poll)
		if got := fmt.Sprint(states(r)); got != "[signing published]" {
			t.Errorf("after all have retired: %s, want the one due to be made", got)
		}
	})
	records := ringRecords{}
	private, err := makeRSA()
	if err != nil {
		t.Fatal(err)
	}
	for range maxRingKeys + 2 { // the store has some that are retired
		records = append(records, ringRecord{KID: strings.Repeat("K", 26), Algorithm: "RS256", Created: time.Now().UTC(), SignFrom: time.Now().UTC(), Private: private})
	}
	text, err := json.Marshal(ringDocument{records})
	if sealed := newRing(t, ringConfig(newRingStore())).sealer.seal(text); err != nil || len(sealed) > 64<<10 {
		t.Errorf("a full ring has %d bytes, which no store takes: %v", len(sealed), err)
	}
}

// A clock that is behind knows no key whose time has come, and signs all the
// same.
func TestSignerBeforeItsTime(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	rs := ringRecords{{KID: "a", SignFrom: at(10)}, {KID: "b", SignFrom: at(20)}, {KID: "c", SignFrom: at(20)}, {KID: "d", SignFrom: at(30)}}
	for seconds, want := range map[int64]string{0: "a", 9: "a", 10: "a", 19: "a", 20: "c", 29: "c", 30: "d", 99: "d"} {
		if got := rs[rs.signer(at(seconds))].KID; got != want {
			t.Errorf("at %d %s signs, want %s", seconds, got, want)
		}
	}
	for seconds, want := range map[int64]int{0: 4, 24: 4, 25: 2, 34: 2, 35: 1, 1000: 1} {
		if got := len(rs.live(at(seconds), 5*time.Second)); got != want {
			t.Errorf("at %d %d keys are live, want %d", seconds, got, want)
		}
	}
	before := fmt.Sprint(rs)
	_ = rs[:2].and(rs[3]) // what requests see must not change below them
	if fmt.Sprint(rs) != before {
		t.Errorf("%v has become %v", before, rs)
	}
	shuffled := ringRecords{rs[2]}.and(rs[3], rs[1], rs[0], rs[2])
	if fmt.Sprint(shuffled) != fmt.Sprint(rs) {
		t.Errorf("not in the order in which they sign: %v", shuffled)
	}
}

// Waiting for its first key a ring looks often, since nobody can sign until
// then; what fails is tried again soon, then less and less often.
func TestRingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		var reads []time.Time
		store.asked = func() { reads = append(reads, time.Now()) }
		// want lets time pass, and wants these pauses in it; then the last again and
		// again.
		want := func(step string, d time.Duration, pauses ...time.Duration) {
			t.Helper()
			store.mu.Lock()
			reads = reads[max(0, len(reads)-1):]
			store.mu.Unlock()
			pass(d)
			store.mu.Lock()
			defer store.mu.Unlock()
			for i := range len(reads) - 1 {
				longest := pauses[min(i, len(pauses)-1)]
				if gap := reads[i+1].Sub(reads[i]); gap < longest/2 || gap > longest {
					t.Errorf("%s: read number %d came after %s, want at most %s and half of it at least", step, i+1, gap, longest)
				}
			}
			if len(reads) <= len(pauses) {
				t.Errorf("%s: read %d times", step, len(reads))
			}
		}
		backoff := []time.Duration{minPause}
		for pause := 2 * minPause; pause < poll; pause *= 2 {
			backoff = append(backoff, pause)
		}
		backoff = append(backoff, poll)
		store.setDown(true)
		r, _ := runRing(t, ringConfig(store))
		want("without a store", 10*poll, backoff...)
		store.setDown(false)
		want("an empty store", poll+poll/4, poll, minPause) // the first pause began before
		pass(2 * poll)
		if !r.Ready() {
			t.Fatal("no first key")
		}
		want("a ring", 10*poll, poll)
		store.setDown(true)
		want("without a store again", 10*poll, append([]time.Duration{poll}, backoff...)...)
		store.setDown(false)
		want("the ring again", 10*poll, poll)
		down := false // and a single failure
		store.mu.Lock()
		store.asked = func() { reads = append(reads, time.Now()); store.down, down = !down, true }
		store.mu.Unlock()
		want("after one failure", 10*poll, poll, minPause, poll)
	})
}

// To be ended is no failure, be it while the store is asked.
func TestRingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := ringConfig(stuckStore{})
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		_, end := runRing(t, cfg)
		pass(poll)
		if end(); log.Len() > 0 {
			t.Errorf("logged %s", &log)
		}
	})
}

// stuckStore does not answer.
type stuckStore struct{}

func (stuckStore) Keyring(ctx context.Context, _ string) ([]byte, uint64, error) {
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

func (stuckStore) PutKeyring(context.Context, string, []byte, uint64) error { return errDown }

// A key that cannot be made or written down leaves the store as it was.
func TestKeyThatCannotBeMade(t *testing.T) {
	makers["broken"] = func() ([]byte, error) { return nil, errors.New("no randomness") }
	t.Cleanup(func() { delete(makers, "broken") })
	good, err := newRingRecord("ES256")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		alg  string
		now  time.Time
		want string
	}{
		"making":       {"broken", time.Now(), "making a key for broken: no randomness"},
		"writing down": {"ES256", time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), "year"}, // RFC 3339 §1 has four digits
	} {
		store := newRingStore()
		cfg := ringConfig(store)
		cfg.Algorithm, cfg.RotateEvery = c.alg, rotateEvery
		cfg.Now = func() time.Time { return c.now }
		r := newRing(t, cfg)
		r.emptySince = c.now.Add(-poll)
		if err := r.change(t.Context(), r.due); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s the first: %v, want %s", name, err, c.want)
		}
		r.adopt(ringRecords{good.at(c.now.Add(-2*rotateEvery), c.now.Add(-2*rotateEvery))})
		if _, err := r.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s the next: %v, want %s", name, err, c.want)
		}
		if store.puts != 0 || len(r.All()) != 1 {
			t.Errorf("%s: %d rings were written, %d keys are known", name, store.puts, len(r.All()))
		}
	}
}

// The first key is made when the store had none for as long as Poll.
func TestFirstKeyIsDue(t *testing.T) {
	r := newRing(t, ringConfig(newRingStore()))
	began := time.Now()
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 0}, {poll - 1, 0}, {poll, 1}} {
		if records, err := r.due(nil, began.Add(step.after)); err != nil || len(records) != step.want {
			t.Errorf("after %s: %d keys, %v", step.after, len(records), err)
		}
	}
}

// What was written is told: new keys (+), and those that the store had lost (-).
func TestReport(t *testing.T) {
	a, b, c := ringRecord{KID: "a"}, ringRecord{KID: "b"}, ringRecord{KID: "c"}
	told := regexp.MustCompile(`(new signing key published|had lost a key).*kid=(.)`)
	for want, w := range map[string]struct{ stored, known, written ringRecords }{
		"":     {ringRecords{a, b}, ringRecords{a, b}, ringRecords{a, b}},
		"+c":   {ringRecords{a, b}, ringRecords{a, b}, ringRecords{a, b, c}},
		"-b":   {ringRecords{a}, ringRecords{a, b}, ringRecords{a, b}},
		"-a":   {ringRecords{b}, ringRecords{a, b}, ringRecords{a, b}},
		"+a":   {nil, nil, ringRecords{a}},
		"-a+b": {nil, ringRecords{a}, ringRecords{a, b}},
	} {
		var log bytes.Buffer
		cfg := ringConfig(newRingStore())
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		newRing(t, cfg).report(w.stored, w.known, w.written)
		got := ""
		for _, line := range told.FindAllStringSubmatch(log.String(), -1) {
			got += map[bool]string{true: "+", false: "-"}[line[1][0] == 'n'] + line[2]
		}
		if got != want || strings.Count(log.String(), "\n") != len(want)/2 {
			t.Errorf("told %q, want %q:\n%s", got, want, &log)
		}
	}
}

// What a store says beside an error counts for nothing.
func TestRingBesideAnError(t *testing.T) {
	store := newRingStore()
	store.put("main", newTestSealer(t, "main", encryptionKey).seal(ringWith(t, "HS256", []byte("a secret of 32 bytes for a test!"))))
	r := newRing(t, ringConfig(faultyStore{store}))
	if err := r.Load(t.Context()); !errors.Is(err, errDown) || r.Ready() {
		t.Errorf("%v, keys %q", err, kids(r))
	}
	if newLoaded(t, store).Find("x") == nil {
		t.Error("the ring would not have been read anyway")
	}
}

// faultyStore says the truth, and that it failed.
type faultyStore struct{ *ringStore }

func (s faultyStore) Keyring(ctx context.Context, issuer string) ([]byte, uint64, error) {
	data, version, _ := s.ringStore.Keyring(ctx, issuer)
	return data, version, errDown
}
