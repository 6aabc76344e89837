package keyset

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

const keptAs = "jwks/main"

// kept is what the store has of the set.
func kept(t *testing.T, s *ringStore) (k keptSet) {
	t.Helper()
	if data, version := s.raw(keptAs); version > 0 {
		if err := json.Unmarshal(data, &k); err != nil {
			t.Error(err)
		}
	}
	return k
}

// The last good set outlives the process, for as long as it could be trusted.
func TestQ05RestartWithoutTheIssuer(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		from := startIDP(t)
		from.publish(a.jwk)
		_, end := runRemote(t, remoteConfig(store), from)
		pass(10 * time.Minute)
		end()
		from.answer(500, "", "")
		began := time.Now()
		pass(12 * time.Hour)
		r, end := runRemote(t, remoteConfig(store), from)
		pass(time.Second)
		g := guard(t, "main", r)
		if got := g.decide(a.token(t)); got != auth.OK {
			t.Errorf("after a restart: %s", got)
		}
		if age := r.Age(time.Now()); age < 12*time.Hour || age > 12*time.Hour+11*time.Minute {
			t.Errorf("the age is %s", age)
		}
		end()
		pass(time.Hour)
		r, _ = runRemote(t, remoteConfig(store), from)
		pass(10*time.Hour + 49*time.Minute - time.Second) // 23 h 49 min
		if !r.Ready() {
			t.Error("given up too early")
		}
		pass(maxStale - time.Since(began) + time.Minute)
		if r.Ready() {
			t.Errorf("still trusted after %s", time.Since(began))
		}
		r, _ = runRemote(t, remoteConfig(store), from)
		pass(time.Minute)
		if r.Ready() {
			t.Error("trusted again after a restart")
		}
		if got := string(kept(t, store).JWKS); !strings.Contains(got, `"a"`) {
			t.Errorf("kept is %s", got)
		}
	})
}

// What is in the store counts only when it is this issuer's, and no more than
// the network's answer would.
func TestKeptSetIsChecked(t *testing.T) {
	a := newKey(t, "a")
	whole := func(source string, read time.Duration, jwks string) string {
		text, err := json.Marshal(keptSet{source, time.Now().Add(read), json.RawMessage(jwks)})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	good := string(set(a.jwk))
	for name, c := range map[string]struct {
		text func() string
		want bool
		told bool // in the log: it is not only another's
	}{
		"good":             {func() string { return whole(remoteURL, -time.Hour, good) }, true, false},
		"good, and a bad":  {func() string { return whole(remoteURL, -time.Hour, string(set(a.jwk, `{"kty":"oct","k":"AAAA"}`))) }, true, false},
		"another URL's":    {func() string { return whole(remoteURL+"x", -time.Second, good) }, false, false},
		"too old":          {func() string { return whole(remoteURL, -maxStale, good) }, false, false},
		"without a time":   {func() string { return `{"source":"` + remoteURL + `","jwks":` + good + `}` }, false, false},
		"a weak key":       {func() string { return whole(remoteURL, -time.Hour, `{"keys":[{"kty":"oct","k":"AAAA"}]}`) }, false, true},
		"another use":      {func() string { return whole(remoteURL, -time.Hour, strings.Replace(good, `"sig"`, `"enc"`, 1)) }, false, true},
		"not allowed":      {func() string { return whole(remoteURL, -time.Hour, strings.Replace(good, `"ES256"`, `"ES384"`, 1)) }, false, true},
		"no keys":          {func() string { return whole(remoteURL, -time.Hour, `{}`) }, false, true},
		"the set alone":    {func() string { return good }, false, false},
		"cut short":        {func() string { return whole(remoteURL, -time.Hour, good)[:100] }, false, true},
		"something sealed": {func() string { return "\x01\x02\x03" }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newRingStore()
				from := startIDP(t)
				store.put(keptAs, []byte(c.text()))
				cfg := remoteConfig(store)
				log := logged(&cfg)
				alone := newRemote(t, cfg)
				if alone.restore(t.Context()); alone.Ready() != c.want {
					t.Errorf("restored: %t, want %t", alone.Ready(), c.want)
				}
				if strings.Contains(log.String(), "cannot be had from the store") != c.told {
					t.Errorf("logged %s", log)
				}
				r, _ := runRemote(t, remoteConfig(store), from)
				pass(time.Minute)
				if r.Ready() != c.want {
					t.Errorf("ready %t, want %t", r.Ready(), c.want)
				}
				from.publish(a.jwk)
				pass(time.Minute)
				if got := kept(t, store); !r.Ready() || got.Source != remoteURL || time.Since(got.Read) > 2*time.Minute && !c.want {
					t.Errorf("when the issuer is back: ready %t, kept %+v", r.Ready(), got)
				}
			})
		})
	}
}

// A clock that is ahead makes no set last longer, and none that is never
// replaced.
func TestKeptByAClockThatIsAhead(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		from := startIDP(t)
		text, _ := json.Marshal(keptSet{remoteURL, time.Now().Add(10 * maxStale), json.RawMessage(set(a.jwk))})
		store.put(keptAs, text)
		r, end := runRemote(t, remoteConfig(store), from)
		pass(maxStale - time.Second)
		if !r.Ready() {
			t.Error("not trusted at all")
		}
		pass(2 * time.Second)
		if r.Ready() {
			t.Error("trusted for longer")
		}
		from.publish(a.jwk)
		pass(time.Minute)
		if got := kept(t, store); got.Read.After(time.Now()) {
			t.Errorf("kept is still the set of %s", got.Read)
		}
		end()
	})
}

// The store is written when the set has changed, else rarely, by one of all
// replicas.
func TestKeepingIsRare(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		from := startIDP(t)
		from.publish(a.jwk, b.jwk)
		for range 8 {
			runRemote(t, remoteConfig(store), from)
		}
		pass(50 * time.Minute)
		if store.writes() != 1 {
			t.Errorf("written %d times by replicas that start together", store.writes())
		}
		from.publish(b.jwk, a.jwk) // in another order
		pass(9 * time.Minute)
		if store.writes() != 1 {
			t.Errorf("written %d times for another order", store.writes()-1)
		}
		pass(10 * time.Hour)
		if store.writes() < 9 || store.writes() > 12 {
			t.Errorf("written %d times in eleven hours", store.writes())
		}
		before := store.writes()
		from.publish(b.jwk)
		pass(maxInterval + time.Second)
		if got := string(kept(t, store).JWKS); store.writes() == before || store.writes() > before+2 || strings.Contains(got, `"a"`) || !strings.Contains(got, `"b"`) {
			t.Errorf("a changed set is written %d times; kept is %s", store.writes()-before, got)
		}
	})
}

// A store that has lost its data has the set again with the next reading.
func TestKeptAgainByAStoreThatLostIt(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		from := startIDP(t)
		from.publish(a.jwk)
		runRemote(t, remoteConfig(store), from)
		pass(time.Minute)
		store.flush()
		pass(maxInterval)
		if got := kept(t, store); got.Source != remoteURL || store.writes() != 2 {
			t.Errorf("kept is %+v, written %d times", got, store.writes())
		}
	})
}

// A store that is down costs the next start its keys, and nothing else.
func TestKeepingFails(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		cfg := remoteConfig(newRingStore())
		store := cfg.Store.(*ringStore)
		log := logged(&cfg)
		store.setDown(true)
		from := startIDP(t)
		from.publish(a.jwk)
		r, _ := runRemote(t, cfg, from)
		pass(time.Hour)
		if !r.Ready() || strings.Count(log.String(), "cannot be had from the store") != 1 || strings.Count(log.String(), "cannot be kept") != 1 {
			t.Errorf("ready %t, logged %s", r.Ready(), log)
		}
		store.setDown(false)
		pass(maxInterval)
		if got := kept(t, store); got.Source != remoteURL {
			t.Errorf("kept is %+v", got)
		}
		before := log.String()
		store.setDown(true)
		ended, end := context.WithCancel(t.Context())
		end()
		again := newRemote(t, cfg)
		again.adopt(r.All(), nil, time.Now())
		if again.keep(ended); strings.Contains(log.String()[len(before):], "cannot be kept") {
			t.Errorf("at the end that is no trouble: %s", log.String()[len(before):])
		}
	})
}

// A command reads, and writes nothing.
func TestLoadKeepsNothing(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		from := startIDP(t)
		from.publish(a.jwk)
		r := newRemote(t, remoteConfig(store))
		from.reach(r)
		r.Load(t.Context())
		r.Load(t.Context())
		if n := len(from.times()); !r.Ready() || store.writes() != 0 || n != 1 {
			t.Errorf("ready %t, %d writes, %d readings", r.Ready(), store.writes(), n)
		}
	})
}

// The set comes back from the store as it was, whatever its kinds of keys.
func TestKeptAlgorithms(t *testing.T) {
	for alg := range makers {
		if strings.HasPrefix(alg, "HS") {
			continue
		}
		record, err := newRingRecord(alg)
		if err != nil {
			t.Fatal(err)
		}
		jwks, err := PublicJWKS([]*auth.Key{record.key})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			cfg := remoteConfig(newRingStore())
			cfg.Algorithms = []string{alg}
			from := startIDP(t)
			from.answer(200, "", string(jwks))
			r, end := runRemote(t, cfg, from)
			pass(time.Second)
			end()
			from.answer(500, "", "")
			again, _ := runRemote(t, cfg, from)
			pass(time.Second)
			if fmt.Sprint(remoteKids(again)) != fmt.Sprint(remoteKids(r)) || len(again.All()) != 1 || !sameKey(again.All()[0], record.key) {
				t.Errorf("%s: %s, want %s", alg, remoteKids(again), remoteKids(r))
			}
		})
	}
}

// What another replica has read since stays; what is older, or of another
// issuer, does not.
func TestKeepReplaces(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	for _, c := range []struct {
		source string
		after  time.Duration // it was read after ours
		want   bool          // ours replaces it
	}{{remoteURL, time.Second, false}, {remoteURL, -time.Second, true}, {remoteURL, maxStale, true}, {remoteURL + "x", time.Second, true}} {
		store := newRingStore()
		r := newRemote(t, remoteConfig(store))
		keys, _, err := ParseJWKS(set(a.jwk), r.cfg.Algorithms)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		r.adopt(keys, nil, now)
		text, err := json.Marshal(keptSet{c.source, now.Add(c.after), json.RawMessage(set(b.jwk))})
		if err != nil {
			t.Fatal(err)
		}
		store.put(keptAs, text)
		if r.keep(t.Context()); strings.Contains(string(kept(t, store).JWKS), `"a"`) != c.want {
			t.Errorf("%+v: kept is %s", c, kept(t, store).JWKS)
		}
	}
}

// Another replica may be first; that is tried again at once, and no failure.
func TestKeepAfterAConflict(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		cfg := remoteConfig(newRingStore())
		store := cfg.Store.(*ringStore)
		log := logged(&cfg)
		tries := 0
		store.write = func() (bool, error) {
			if tries++; tries == 1 {
				return false, errConflict
			}
			return true, nil
		}
		from := startIDP(t)
		from.publish(a.jwk)
		runRemote(t, cfg, from)
		pass(time.Second)
		if store.writes() != 1 || strings.Contains(log.String(), "cannot be kept") {
			t.Errorf("written %d times, logged %s", store.writes(), log)
		}
	})
}
