package keyset

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

// replica is a ring behind a gate, on a clock of its own.
type replica struct {
	*Ring
	gate   *auth.Gate
	policy *auth.Policy
	now    func() time.Time
}

func newReplica(t *testing.T, cfg RingConfig, skew time.Duration) *replica {
	t.Helper()
	cfg.Now = func() time.Time { return time.Now().Add(skew) }
	r, _ := runRing(t, cfg)
	issuer := &auth.Issuer{
		Name: "main", Issuer: "i", AnyAudience: true, Keys: r, MaxTokenBytes: 4 << 10,
		MaxTokenLife: tokenLife, Leeway: leeway, SubjectClaim: "sub",
	}
	return &replica{r, newGate(t, issuer), &auth.Policy{Mode: auth.BearerOnly, Issuers: []*auth.Issuer{issuer}, Forward: &auth.Forward{}}, cfg.Now}
}

// issued is a token and its `exp`.
type issued struct {
	compact string
	expires int64
}

func (r *replica) issue(t *testing.T) issued {
	t.Helper()
	iat := r.now().Unix()
	expires := iat + int64(tokenLife.Seconds())
	compact, err := auth.Sign(r.Signer(), "at+jwt", map[string]any{"iss": "i", "sub": "u", "iat": iat, "exp": expires})
	if err != nil {
		t.Fatal(err)
	}
	return issued{compact, expires}
}

// Through rotations by schedule and by command, with clocks and polls that
// differ, no replica ever meets a token that it does not know the key of, from
// the token's first second to its last.
func TestRotationUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		var replicas []*replica
		for i, skew := range []time.Duration{0, -leeway / 2, leeway / 2, leeway / 4} {
			cfg := ringConfig(store)
			cfg.RotateEvery, cfg.Poll = rotateEvery, poll*time.Duration(i+1)
			replicas = append(replicas, newReplica(t, cfg, skew))
		}
		pass(10 * poll)
		signers, checks := map[string]bool{}, 0
		tokens := []issued{} // the latest
		meet := func(token issued) {
			for _, to := range replicas {
				if to.now().Unix() >= token.expires+int64(leeway.Seconds()) {
					continue
				}
				checks++
				if d := to.gate.Decide(to.policy, auth.BearerCredentials(token.compact), to.now()); d.Reason != auth.OK {
					t.Fatalf("%s: %s, keys %q", time.Now(), d.Reason, kids(to.Ring))
				}
			}
		}
		end := time.Now().Add(3 * rotateEvery)
		for i := 0; time.Now().Before(end); i++ {
			for _, from := range replicas {
				signers[from.Signer().ID] = true
				for _, to := range replicas {
					if to.Find(from.Signer().ID) == nil {
						t.Fatalf("%s: a key signs that another replica does not know", time.Now())
					}
				}
			}
			if i%8 == 0 {
				token := replicas[i/8%len(replicas)].issue(t)
				tokens = append(tokens, token)
				meet(token)
			}
			if i%64 == 0 {
				for _, token := range tokens {
					meet(token)
				}
				tokens = tokens[max(0, len(tokens)-600):] // more than an hour's
			}
			if i == 5000 || i == 5050 {
				if _, err := replicas[i%len(replicas)].Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second/2 + rand.N(2*time.Second))
		}
		if len(signers) < 5 || checks < 3e5 {
			t.Errorf("%d keys have signed and %d tokens were met: not much of a load", len(signers), checks)
		}
	})
}

func TestReplicasStartTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		var rings []*Ring
		for range 16 {
			r, _ := runRing(t, ringConfig(store))
			rings = append(rings, r)
		}
		pass(2 * poll)
		for _, r := range rings {
			if !r.Ready() || len(r.All()) != 1 || r.Signer().ID != rings[0].Signer().ID {
				t.Errorf("keys %q, want the one of all, %q", kids(r), kids(rings[0]))
			}
		}
		if store.puts != 1 {
			t.Errorf("%d rings were written", store.puts)
		}
	})
}

// The store is empty of a sudden: what is known is written back, and no key is
// made in its place.
func TestStoreLosesItsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := newRingStore()
		cfg := ringConfig(store)
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		a, endA := runRing(t, cfg)
		b, endB := runRing(t, ringConfig(store))
		pass(2 * poll)
		first := a.Signer()
		store.flush()
		pass(2 * poll)
		if got := stored(t, store); len(got) != 1 || got[0].KID != first.ID || a.Signer() != first || b.Signer().ID != first.ID {
			t.Errorf("%d keys are stored, %q and %q known, want %q", len(got), kids(a), kids(b), first.ID)
		}
		// They know different keys; each writes back what the other lacks.
		endB()
		second, err := a.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		endA()
		store.flush()
		_, endB = runRing(t, ringConfig(store), b.set.Load().records...)
		pass(poll)
		endB()
		if n := len(stored(t, store)); n != 1 {
			t.Fatalf("b writes back %d keys", n)
		}
		_, endA = runRing(t, cfg, a.set.Load().records...)
		pass(poll)
		endA()
		if got := stored(t, store); len(got) != 2 || got[0].KID != first.ID || got[1].KID != second.KID {
			t.Errorf("after both, the store has %d keys", len(got))
		}
		if n := strings.Count(log.String(), "the store had lost a key"); n < 1 {
			t.Errorf("nothing was said of the loss:\n%s", &log)
		}
	})
}

// A replica that starts on a store that was emptied waits for those that run,
// and begins to wait anew when the store was down for all of them.
func TestStartAfterTheStoreLostItsData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		old, end := runRing(t, ringConfig(store))
		pass(2 * poll)
		for range 20 {
			store.flush()
			fresh, end := runRing(t, ringConfig(store))
			pass(2 * poll)
			if !slices.Equal(kids(fresh), kids(old)) || len(kids(old)) != 1 {
				t.Fatalf("the new replica has %q, the old one %q", kids(fresh), kids(old))
			}
			end()
		}
		end()
		for range 20 {
			store.flush()
			fresh, endFresh := runRing(t, ringConfig(store))
			pass(poll / 2)
			store.setDown(true)
			again, endAgain := runRing(t, ringConfig(store), old.set.Load().records...)
			pass(10 * poll)
			store.setDown(false)
			pass(3 * poll)
			if !slices.Equal(kids(fresh), kids(old)) || !slices.Equal(kids(again), kids(old)) {
				t.Fatalf("the new replica has %q, the old one %q instead of %q", kids(fresh), kids(again), kids(old))
			}
			endFresh()
			endAgain()
		}
	})
}

// Where two rings came to be, everybody ends with the keys of both.
func TestTwoRingsBecomeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		a, _ := runRing(t, ringConfig(store))
		pass(2 * poll)
		other := newRingStore()
		_, end := runRing(t, ringConfig(other))
		pass(2 * poll)
		end()
		data, _ := other.raw("main")
		store.put("main", data)
		b, _ := runRing(t, ringConfig(store))
		pass(2 * poll)
		if len(a.All()) != 2 || !slices.Equal(kids(a), kids(b)) || a.Signer().ID != b.Signer().ID || len(stored(t, store)) != 2 {
			t.Errorf("a has %q, b %q, %d are stored", kids(a), kids(b), len(stored(t, store)))
		}
	})
}

func TestStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := newRingStore()
		store.setDown(true)
		cfg := ringConfig(store)
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		cfg.RotateEvery = rotateEvery
		r, _ := runRing(t, cfg)
		pass(10 * poll)
		if r.Ready() || r.Signer() != nil {
			t.Error("there are keys while the store is down")
		}
		store.setDown(false)
		pass(3 * poll)
		first := r.Signer()
		if !r.Ready() || first == nil {
			t.Fatal("there are no keys though the store is up")
		}
		if errors, infos := strings.Count(log.String(), "level=ERROR"), strings.Count(log.String(), "key ring: read again"); errors != 1 || infos != 1 {
			t.Errorf("the fault was told %d times, its end %d times:\n%s", errors, infos, &log)
		}
		// Down again, past the time when a key would be due: the old one stays.
		store.setDown(true)
		pass(2 * rotateEvery)
		if !r.Ready() || r.Signer() != first || len(r.All()) != 1 {
			t.Error("the key was lost while the store was down")
		}
		if _, err := r.Rotate(t.Context()); err == nil {
			t.Error("a rotation succeeded while the store was down")
		}
		store.setDown(false)
		pass(2 * poll)
		if got := fmt.Sprint(states(r)); got != "[signing published]" {
			t.Errorf("after the store is back: %s", got)
		}
		// A key retires on time whether or not the store can be read.
		pass(publishFor)
		store.setDown(true)
		pass(retireAfter + 2*poll)
		if len(r.All()) != 1 || r.Find(first.ID) != nil {
			t.Error("the old key has not retired")
		}
	})
}

// The store did what was asked, and the answer was lost.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		store.write = func() (bool, error) { return true, errDown }
		r, _ := runRing(t, ringConfig(store))
		pass(2 * poll)
		if len(r.All()) != 1 || store.puts != 1 {
			t.Errorf("%d keys after %d writes, want one", len(r.All()), store.puts)
		}
		key, err := r.Rotate(t.Context())
		if err != nil || len(r.All()) != 2 || store.puts != 2 || r.Find(key.KID) == nil {
			t.Errorf("rotated: %v, %d keys after %d writes", err, len(r.All()), store.puts)
		}
		asked := 0
		store.write = func() (bool, error) { asked++; return false, errConflict }
		if _, err := r.Rotate(t.Context()); err == nil || asked != maxTries || len(r.All()) != 2 {
			t.Errorf("always late: %v after %d tries, %d keys", err, asked, len(r.All()))
		}
		store.write = func() (bool, error) {
			if asked--; asked > 0 {
				return false, errConflict
			}
			return true, nil
		}
		if _, err := r.Rotate(t.Context()); err != nil || len(r.All()) != 3 {
			t.Errorf("late but for the last time: %v, %d keys", err, len(r.All()))
		}
	})
}
