package keyset

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

func TestNewRemote(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*RemoteConfig)
		want   string
	}{
		"good":          {func(*RemoteConfig) {}, ""},
		"discovery":     {func(c *RemoteConfig) { c.URL, c.Discovery = "", "https://idp.example.com/" }, ""},
		"both":          {func(c *RemoteConfig) { c.Discovery = "https://idp.example.com" }, "one of URL and Discovery"},
		"neither":       {func(c *RemoteConfig) { c.URL = "" }, "one of URL and Discovery"},
		"no issuer":     {func(c *RemoteConfig) { c.Issuer = "" }, "are needed"},
		"no algorithms": {func(c *RemoteConfig) { c.Algorithms = nil }, "are needed"},
		"no store":      {func(c *RemoteConfig) { c.Store = nil }, "are needed"},
		"no log":        {func(c *RemoteConfig) { c.Log = (*slog.Logger)(nil) }, "are needed"},
		"stale at once": {func(c *RemoteConfig) { c.MaxStale = maxInterval }, "MaxStale must be above 5m0s"},
		"no stale":      {func(c *RemoteConfig) { c.MaxStale = 0 }, "MaxStale must be above"},
	} {
		cfg := remoteConfig(newRingStore())
		c.change(&cfg)
		r, err := NewRemote(cfg)
		if (err == nil) != (c.want == "") || (r == nil) == (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRemoteBeforeItHasKeys(t *testing.T) {
	r := newRemote(t, remoteConfig(newRingStore()))
	if r.Ready() || r.Tried() || r.Signer() != nil || r.Find("") != nil || r.Find("a") != nil || len(r.All()) != 0 || r.Skipped() != 0 {
		t.Error("keys that were never read are known")
	}
	began := time.Unix(1_700_000_000, 0)
	cfg := remoteConfig(newRingStore())
	cfg.Now = func() time.Time { return began }
	if age := newRemote(t, cfg).Age(began.Add(time.Hour)); age != time.Hour {
		t.Errorf("their age is %s", age)
	}
}

// A flood of tokens with made-up kids makes one reading in 30 s, whether they
// succeed or fail, and none while there are no keys.
func TestQ02UnknownKidFlood(t *testing.T) {
	a := newKey(t, "a")
	flood := func(r *Remote) {
		for i := range 10_000 { // for ten minutes
			if r.Find(fmt.Sprint("made-up-", i)) != nil {
				t.Fatal("a key that nobody made")
			}
			pass(60 * time.Millisecond)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish(a.jwk)
		r, _ := runRemote(t, remoteConfig(newRingStore()), from)
		pass(time.Minute)
		from.times()
		flood(r)
		times := from.times()
		for i := range len(times) - 1 {
			if gap := times[i+1].Sub(times[i]); gap < 30*time.Second {
				t.Errorf("read again after %s", gap)
			}
		}
		if len(times) < 19 || len(times) > 21 {
			t.Errorf("read %d times in ten minutes", len(times))
		}

		from.answer(500, "", "")
		pass(5 * time.Minute) // the time between readings is at its longest
		from.times()
		flood(r)
		if n := len(from.times()); n < 30 || n > 600/27+1+600/30+1 {
			t.Errorf("read %d times in ten minutes of failures", n)
		}
		if r.Find("a") == nil {
			t.Error("the key is gone")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish() // an empty set
		r, _ := runRemote(t, remoteConfig(newRingStore()), from)
		pass(2 * time.Minute)
		from.times()
		flood(r)
		if n := len(from.times()); n > 600/27+1 {
			t.Errorf("read %d times in ten minutes without keys", n)
		}
	})
}

// What strangers send does not keep a rotation from being seen, nor known keys
// from being found.
func TestQ03FloodAndRotation(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish(a.jwk)
		r, _ := runRemote(t, remoteConfig(newRingStore()), from)
		pass(time.Second)
		r.Find("made-up")
		pass(time.Second) // the budget is spent
		from.publish(b.jwk, a.jwk)
		for range 300 {
			r.Find("made-up")
			if r.Find("a") == nil {
				t.Fatal("a known key is not found")
			}
			pass(100 * time.Millisecond)
		}
		if r.Find("b") == nil {
			t.Error("30 s later the new key is not known")
		}
		// Without any token that asks.
		from.publish(b.jwk)
		pass(maxInterval)
		if got := remoteKids(r); got != "[b]" {
			t.Errorf("five minutes later the keys are %s", got)
		}
	})
}

// One reading for all that begins at once; a slow one holds up nobody.
func TestQ04Stampede(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		slow := func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(4 * time.Second)
			_, _ = w.Write(set(a.jwk))
		}
		from.handle(slow)
		r, _ := runRemote(t, remoteConfig(newRingStore()), from)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				began := time.Now()
				if r.Find("a") != nil || !time.Now().Equal(began) {
					t.Error("a request has waited")
				}
				r.Load(t.Context())
				if r.Find("a") == nil {
					t.Error("loaded, and the key is not known")
				}
			})
		}
		all.Wait()
		if times := from.times(); len(times) != 1 {
			t.Errorf("read %d times", len(times))
		}
		for range 100 { // when it is read again
			r.Find("b")
			began := time.Now()
			if r.Find("a") == nil || !time.Now().Equal(began) {
				t.Error("a request has waited, or was refused")
			}
			pass(50 * time.Millisecond)
		}
		if times := from.times(); len(times) != 1 {
			t.Errorf("read %d times", len(times))
		}
	})
}

// The last good set stays through failures of every kind, for so long; then
// nothing is accepted, and all is well again with the first good answer.
func TestQ05FailureKeepsTheLastSet(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		cfg := remoteConfig(newRingStore())
		log := logged(&cfg)
		from := startIDP(t)
		from.publish(a.jwk)
		r, _ := runRemote(t, cfg, from)
		g := guard(t, "main", r)
		pass(time.Second)
		began := time.Now()
		for _, broken := range []func(){
			func() { from.answer(500, "", string(set(a.jwk))) },
			func() { from.answer(204, "", "") },
			func() { from.answer(203, "", string(set(a.jwk))) }, // somebody's on the way
			func() { from.answer(206, "", string(set(a.jwk))) },
			func() { from.answer(200, "", "") },
			func() { from.answer(200, "", "{}") },
			func() { from.answer(200, "", `{"keys":null}`) },
			func() { from.answer(200, "", `{"keys":[]}`) },
			func() { from.answer(200, "", `<html>`) },
			func() { from.answer(200, "", string(set(a.jwk))+"x") },
			func() { from.answer(200, "", string(set(a.jwk, a.jwk))) }, // a kid twice
			func() {
				from.handle(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			},
		} {
			broken()
			pass(10 * time.Minute)
			if r.Find("a") == nil || !r.Ready() || g.decide(a.token(t)) != auth.OK {
				t.Fatal("the last good set is gone")
			}
		}
		if age := r.Age(time.Now()); age < 120*time.Minute || age > 126*time.Minute {
			t.Errorf("the age is %s", age)
		}
		pass(maxStale - time.Since(began) - 6*time.Minute)
		if g.decide(a.token(t)) != auth.OK {
			t.Error("given up too early")
		}
		token := a.token(t)
		g.decide(token) // it is remembered
		pass(7 * time.Minute)
		if got := g.decide(token); got != auth.KeysUnavailable || r.Ready() || len(r.All()) > 0 || r.Find("a") != nil {
			t.Errorf("after %s: %s, keys %s", maxStale, got, remoteKids(r))
		}
		if age := r.Age(time.Now()); age < maxStale {
			t.Errorf("the age is %s", age)
		}
		from.publish(a.jwk)
		pass(maxRetry)
		if got := g.decide(token); got != auth.OK {
			t.Errorf("when the issuer is back: %s", got)
		}
		for line, times := range map[string]int{"cannot be read": 1, "too old to be trusted": 1, "read again": 1, "the set has changed": 3} {
			if n := strings.Count(log.String(), line); n != times {
				t.Errorf("%q is logged %d times, want %d:\n%s", line, n, times, log)
			}
		}
	})
}

// What is not in the set any more is not trusted any more, nor is what was
// verified with it. Keys that stay are the same values.
func TestQ06SetsAreReplacedWhole(t *testing.T) {
	a, b, other := newKey(t, "a"), newKey(t, "b"), newKey(t, "b") // a kid of another key
	bare, bare2 := newKey(t, ""), newKey(t, "")
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish(a.jwk, b.jwk, bare.jwk, bare2.jwk)
		cfg := remoteConfig(newRingStore())
		log := logged(&cfg)
		r, _ := runRemote(t, cfg, from)
		g := guard(t, "main", r)
		pass(time.Second)
		keyA, keyB := r.Find("a"), r.Find("b")
		tokens := map[string]string{"a": a.token(t), "b": b.token(t), "bare": bare.token(t), "bare2": bare2.token(t), "other": other.token(t)}
		want := func(step string, good ...string) {
			t.Helper()
			for name, token := range tokens {
				reason := auth.TokenUntrusted
				if slices.Contains(good, name) {
					reason = auth.OK
				}
				if got := g.decide(token); got != reason {
					t.Errorf("%s: %s is %s, want %s", step, name, got, reason)
				}
			}
		}
		want("at first", "a", "b", "bare", "bare2")
		from.publish(bare.jwk, other.jwk, a.jwk, bare.jwk)
		pass(maxInterval)
		want("with another b", "a", "bare", "other")
		if r.Find("a") != keyA || r.Find("b") == keyB {
			t.Error("the key that stays is another value, or the one that does not is the same")
		}
		from.publish(a.jwk)
		pass(maxInterval)
		want("with a alone", "a")
		if r.Find("a") != keyA {
			t.Error("the key that stays is another value")
		}
		renamed := key{a.PrivateKey, "z", jwk(t, a.Public(), "z", "", "")}
		tokens["renamed"] = renamed.token(t)
		from.publish(renamed.jwk)
		pass(maxInterval)
		want("by another kid", "renamed")
		if !strings.Contains(log.String(), "added=[z] removed=[a]") {
			t.Errorf("nothing tells which keys have changed:\n%s", log)
		}
		from.publish(a.jwk)
		pass(maxInterval)
		keyA = r.Find("a")
		from.publish(jwk(t, a.Public(), "a", "", ""), b.jwk) // written otherwise
		pass(maxInterval)
		want("with the first b", "a", "b")
		if r.Find("a") != keyA {
			t.Error("the key that stays is another value")
		}
	})
}

// A key that is used with another algorithm is another key.
func TestQ06AnotherAlgorithm(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish(jwk(t, private.Public(), "a", "RS256", ""))
		cfg := remoteConfig(newRingStore())
		cfg.Algorithms = []string{"RS256", "PS256"}
		r, _ := runRemote(t, cfg, from)
		pass(time.Second)
		from.publish(jwk(t, private.Public(), "a", "PS256", ""))
		pass(maxInterval)
		if got := r.Find("a").Algorithm; got != "PS256" {
			t.Errorf("it is used with %s", got)
		}
	})
	secret, err := auth.NewSecretKey("a", "HS256", []byte("a secret of 32 bytes for a test!"))
	if err != nil || sameKey(secret, secret) {
		t.Errorf("secrets, which no set has, are taken for public keys: %v", err)
	}
}

// Sets are each issuer's own, with whatever kids they have.
func TestQ09IssuersKeepApart(t *testing.T) {
	mine, theirs := newKey(t, "k"), newKey(t, "k")
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		var gates []guarded
		for name, k := range map[string]key{"mine": mine, "theirs": theirs} {
			from := startIDP(t)
			from.publish(k.jwk)
			cfg := remoteConfig(store)
			cfg.Issuer = name
			r, _ := runRemote(t, cfg, from)
			pass(time.Second)
			g := guard(t, name, r)
			for _, signer := range []key{mine, theirs} {
				want := auth.TokenUntrusted
				if signer == k {
					want = auth.OK
				}
				if got := g.decide(signer.token(t)); got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
			}
			gates = append(gates, g)
		}
		if len(gates) != 2 || store.puts != 2 {
			t.Errorf("%d sets are in the store", store.puts)
		}
	})
}

// Requests read while sets are replaced: for the race detector.
func TestRemoteIsReadWhileItChanges(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish(a.jwk)
		r, end := runRemote(t, remoteConfig(newRingStore()), from)
		pass(time.Second)
		stop := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Second / 3):
					}
					r.Find("b")
					if r.Find("a") == nil || !r.Ready() || r.Age(time.Now()) > maxInterval+fetchTime || r.Skipped() != 0 || !r.Tried() {
						t.Error("the keys are not whole")
					}
				}
			})
		}
		for i := range 10 {
			from.publish([]string{a.jwk, b.jwk}[:1+i%2]...)
			pass(45 * time.Second)
		}
		close(stop)
		all.Wait()
		end()
	})
}
