package keyset

import (
	"io"
	"log"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// A key that takes over without notice is known about a second after its first
// token, and without any token in five minutes at most.
func TestQ10Rotation(t *testing.T) {
	a, b, c := newKey(t, "a"), newKey(t, "b"), newKey(t, "c")
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish(a.jwk)
		r, _ := runRemote(t, remoteConfig(newRingStore()), from)
		g := guard(t, "main", r)
		pass(30 * time.Second)
		if n := from.open.Load(); n != 0 {
			t.Errorf("%d connections are kept between readings", n)
		}
		pass(30 * time.Second)
		from.publish(b.jwk)
		if got := g.decide(b.token(t)); got != auth.TokenUntrusted {
			t.Errorf("before it is known: %s", got)
		}
		pass(time.Second)
		if got := g.decide(b.token(t)); got != auth.OK {
			t.Errorf("a second later: %s", got)
		}
		if got := g.decide(a.token(t)); got != auth.TokenUntrusted {
			t.Errorf("the old one: %s", got)
		}
		from.publish(c.jwk)
		pass(maxInterval)
		if got := g.decide(c.token(t)); got != auth.OK {
			t.Errorf("five minutes later: %s", got)
		}
	})
}

// Keys are read as often as the answer says, within bounds.
func TestQ10Intervals(t *testing.T) {
	a := newKey(t, "a")
	for header, want := range map[string]time.Duration{
		"":                                     maxInterval,
		"public":                               maxInterval,
		"max-age=120":                          2 * time.Minute,
		"public, Max-Age=120, must-revalidate": 2 * time.Minute,
		`max-age="180"`:                        3 * time.Minute,
		"max-age=0":                            minInterval,
		"max-age=59":                           minInterval,
		"max-age=61":                           61 * time.Second,
		"max-age=299":                          299 * time.Second,
		"max-age=86400":                        maxInterval,
		"max-age=99999999999999999999999":      maxInterval,
		"max-age=9223372036854775807":          maxInterval,
		"max-age=-1":                           maxInterval,
		"max-age=soon":                         maxInterval,
		"max-age":                              maxInterval,
		"no-store":                             minInterval,
		"max-age=300, no-cache":                minInterval,
		"s-maxage=60":                          maxInterval,
	} {
		synctest.Test(t, func(t *testing.T) {
			from := startIDP(t)
			from.answer(http.StatusOK, header, string(set(a.jwk)))
			runRemote(t, remoteConfig(newRingStore()), from)
			pass(20 * want)
			times := from.times()
			for i := range len(times) - 1 {
				if gap := times[i+1].Sub(times[i]); gap > want || gap < want-want/10 {
					t.Errorf("%q: read again after %s, want %s or a tenth less", header, gap, want)
				}
			}
			if times[1].Sub(times[0]) == times[2].Sub(times[1]) {
				t.Errorf("%q: replicas would ask all at once", header)
			}
			if len(times) < 20 {
				t.Errorf("%q: read %d times in %s", header, len(times), 20*want)
			}
		})
	}
}

// Failures are tried again soon, then less and less often.
func TestRemoteBackoff(t *testing.T) {
	a := newKey(t, "a")
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		r, _ := runRemote(t, remoteConfig(newRingStore()), from)
		pass(10 * time.Minute)
		times := from.times()
		want := minRetry
		for i := range len(times) - 1 {
			if gap := times[i+1].Sub(times[i]); gap > want || gap < want-want/10 {
				t.Errorf("tried again after %s, want %s or a tenth less", gap, want)
			}
			want = min(2*want, maxRetry)
		}
		if len(times) < 20 || r.Ready() || !r.Tried() {
			t.Errorf("tried %d times; ready %t, tried %t", len(times), r.Ready(), r.Tried())
		}
		from.publish(a.jwk)
		pass(maxRetry)
		if !r.Ready() {
			t.Error("the issuer is back, and its keys are not")
		}
		from.answer(500, "", "")
		pass(maxInterval)
		from.times()
		from.publish(a.jwk)
		pass(maxRetry)
		from.answer(500, "", "")
		pass(maxInterval + 20*time.Second)
		if n := len(from.times()); n < 4 {
			t.Errorf("after a success, failures are tried again %d times in 20 s", n)
		}
	})
}

// A token without kid, or of an empty one, says nothing about new keys; nor does
// one whose key has come in the meantime.
func TestNothingToReadEarlyFor(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	still := newRemote(t, remoteConfig(newRingStore()))
	keys, _, err := ParseJWKS(set(a.jwk), still.cfg.Algorithms)
	still.adopt(keys, nil, time.Now())
	if err != nil || still.Find("a") == nil || len(still.asked) != 0 || still.Find("b") != nil || len(still.asked) != 1 {
		t.Errorf("a known key takes the place of one that is not: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.publish(a.jwk)
		r, _ := runRemote(t, remoteConfig(newRingStore()), from)
		g := guard(t, "main", r)
		pass(time.Minute)
		from.times()
		g.decide(newKey(t, "").token(t))
		r.Find("")
		pass(time.Minute)
		if n := len(from.times()); n != 0 {
			t.Errorf("read %d times for nothing", n)
		}
		from.handle(func(w http.ResponseWriter, _ *http.Request) {
			r.Find("b") // while it is on its way
			_, _ = w.Write(set(a.jwk, b.jwk))
		})
		pass(maxInterval)
		pass(time.Second)
		if n := len(from.times()); n != 1 || r.Find("b") == nil {
			t.Errorf("read %d times for a key that was coming", n)
		}
	})
}

// To be ended is no failure, be it in the middle of a reading.
func TestRemoteEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := startIDP(t)
		from.handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		cfg := remoteConfig(newRingStore())
		log := logged(&cfg)
		_, end := runRemote(t, cfg, from)
		pass(time.Second)
		began := time.Now()
		end()
		if took := time.Since(began); took > 0 || log.Len() > 0 {
			t.Errorf("it took %s, logged %s", took, log)
		}
	})
}
