package faults

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// newTokenWorld starts two gateways with the token service on a Redis, each
// through a proxy of its own. Variables are NAME=VALUE, of [rig.TokenService].
func newTokenWorld(t *testing.T, redis *storetest.Redis, store string, variables ...string) *world {
	w := &world{redis: redis, client: &http.Client{Timeout: rig.Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	t.Cleanup(w.client.CloseIdleConnections)
	up := rig.StartUpstream(t)
	for range 2 {
		p := startProxy(t, redis.Addr)
		w.proxies = append(w.proxies, p)
		cfg := rig.TokenService("redis://"+p.Addr+"/0", up.URL)
		cfg.YAML = strings.Replace(cfg.YAML, "timeout: 2s}", store+"}", 1)
		cfg.Env["STALENESS"] = "60s"
		for _, v := range variables {
			name, value, _ := strings.Cut(v, "=")
			cfg.Env[name] = value
		}
		w.gateways = append(w.gateways, rig.StartUnready(t, cfg))
	}
	for _, g := range w.gateways {
		g.WaitReady(t)
	}
	return w
}

// grant is what a token endpoint answers.
type grant struct {
	status  int
	Error   string `json:"error"`
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// ask asks a gateway for tokens, which must answer.
func (w *world) ask(t *testing.T, g *rig.Gateway, form ...string) grant {
	t.Helper()
	got, text := w.tryAsk(g, form...)
	if got.status == 0 || got.status != 200 && strings.Contains(text, "eyJ") {
		t.Errorf("an answer %d: %s", got.status, text)
	}
	return got
}

// tryAsk is ask of one that may be dead: then the status is 0.
func (w *world) tryAsk(g *rig.Gateway, form ...string) (got grant, text string) {
	body := url.Values{"client_id": {"spa"}}
	for i := 0; i < len(form); i += 2 {
		body.Set(form[i], form[i+1])
	}
	res, err := w.client.PostForm("http://"+g.Addr+"/oauth2/token", body)
	if err != nil {
		return got, err.Error()
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return got, err.Error()
	}
	_ = json.Unmarshal(raw, &got)
	got.status = res.StatusCode
	return got, string(raw)
}

func (w *world) login(t *testing.T) (got grant) {
	t.Helper()
	rig.Eventually(t, "logged in", func() bool {
		got = w.ask(t, w.gateways[0], "grant_type", "password", "username", "bob", "password", rig.BobPassword)
		return got.status == 200
	})
	return got
}

// refreshed presents a refresh token until it is known what becomes of it.
func (w *world) refreshed(t *testing.T, token string) (got grant) {
	t.Helper()
	rig.Eventually(t, "answered", func() bool {
		got = w.refresh(t, 0, token)
		return got.status != 503
	})
	return got
}

func (w *world) refresh(t *testing.T, i int, token string) grant {
	t.Helper()
	return w.ask(t, w.gateways[i], "grant_type", "refresh_token", "refresh_token", token)
}

// asked collects the answers to one question that is asked at both gateways, by
// several at a time, until it is ended.
type asked struct {
	question func(gateway int) grant
	mu       sync.Mutex
	answers  map[int]int // by status
	grants   []grant     // with 200
	stop     chan struct{}
	wg       sync.WaitGroup
}

func (w *world) keepAsking(question func(gateway int) grant) *asked {
	a := &asked{question: question, answers: map[int]int{}, stop: make(chan struct{})}
	for i := range 4 {
		a.wg.Go(func() {
			for {
				a.ask(i % 2)
				select {
				case <-a.stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	return a
}

func (a *asked) ask(gateway int) (status int) {
	got := a.question(gateway)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[got.status]++
	if got.status == 200 {
		a.grants = append(a.grants, got)
	}
	return got.status
}

// happen has a fault begin and end while a question is asked, and waits for
// answers that show that the store is back.
func (b breakage) happen(t *testing.T, w *world, question func(gateway int) grant) *asked {
	t.Helper()
	a := w.keepAsking(question)
	time.Sleep(rand.N(20 * time.Millisecond)) // before, amid or after the first answers
	b.on(t, w)
	if b.off != nil {
		time.Sleep(*hold)
		b.off(t, w)
	}
	for i := range w.gateways {
		rig.Eventually(t, "an answer", func() bool { return a.ask(i) != 503 })
	}
	close(a.stop)
	a.wg.Wait()
	return a
}

// tokenFaults runs a test under each fault. What Redis has done is on its disk.
func tokenFaults(t *testing.T, variable string, test func(*testing.T, *world, breakage)) {
	redis := storetest.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	w := newTokenWorld(t, redis, "timeout: 200ms", variable)
	for round := range *rounds {
		for _, f := range breakages {
			t.Run(fmt.Sprint(f.name, " ", round+1), func(t *testing.T) { test(t, w, f) })
		}
	}
}

// TestR01RefreshUnderFaults: whatever happens to the store, many refreshes with
// one token have one successor, and that is never lost once it was given.
func TestR01RefreshUnderFaults(t *testing.T) {
	t.Parallel()
	tokenFaults(t, "GRACE=60s", func(t *testing.T, w *world, f breakage) {
		first := w.login(t)
		a := f.happen(t, w, func(i int) grant { return w.refresh(t, i, first.Refresh) })
		successors, sessions := map[string]bool{}, map[string]bool{session(t, first.Access): true}
		for _, g := range a.grants {
			successors[g.Refresh], sessions[session(t, g.Access)] = true, true
		}
		t.Logf("answers %v, successors %d", a.answers, len(successors))
		for code, n := range a.answers {
			if code != 200 && code != 503 && !(f.loses && code == 400) {
				t.Errorf("%d answers %d to a good refresh token", n, code)
			}
		}
		if len(successors) > 1 || len(sessions) > 1 || len(successors) == 0 && !f.loses {
			t.Fatalf("%d successors in %d sessions", len(successors), len(sessions))
		}
		if f.loses {
			return
		}
		for successor := range successors {
			if got := w.refreshed(t, successor); got.status != 200 || successors[got.Refresh] {
				t.Errorf("the successor is answered %d", got.status)
			}
		}
	})
}

// TestR02ReplayUnderFaults: a refresh token that was used before is never good
// for anything, and ends its session as soon as the store can be told.
func TestR02ReplayUnderFaults(t *testing.T) {
	t.Parallel()
	tokenFaults(t, "GRACE=0s", func(t *testing.T, w *world, f breakage) {
		var first, second grant
		rig.Eventually(t, "refreshed", func() bool { // a second attempt is a replay
			first = w.login(t)
			second = w.refresh(t, 0, first.Refresh)
			return second.status == 200
		})
		a := f.happen(t, w, func(i int) grant { return w.refresh(t, i, first.Refresh) })
		t.Logf("answers %v", a.answers)
		for code, n := range a.answers {
			if code != 400 && code != 503 {
				t.Errorf("%d answers %d to a replay", n, code)
			}
		}
		if got := w.refreshed(t, second.Refresh); got.status != 400 || got.Error != "invalid_grant" {
			t.Errorf("after the replay its successor is answered %d %s", got.status, got.Error)
		}
		for i, g := range w.gateways {
			if f.loses { // it was unknown, and so no replay
				break
			}
			rig.Eventually(t, fmt.Sprint("ended at gateway ", i), func() bool { return call(w.client, g, "/api/", second.Access) == 401 })
		}
	})
}

// TestLoginLimitsUnderFaults: no password is looked at more often than the
// limit says, but when the store has lost the count.
func TestLoginLimitsUnderFaults(t *testing.T) {
	t.Parallel()
	names := 0
	tokenFaults(t, "PER_ACCOUNT=3/10m", func(t *testing.T, w *world, f breakage) {
		names++
		name := fmt.Sprint("nobody", names)
		a := f.happen(t, w, func(i int) grant {
			return w.ask(t, w.gateways[i], "grant_type", "password", "username", name, "password", "guess")
		})
		limit := 3
		if f.loses {
			limit *= 2
		}
		t.Logf("answers %v", a.answers)
		if a.answers[400] > limit {
			t.Errorf("%d passwords were looked at", a.answers[400])
		}
		for code, n := range a.answers {
			if code != 400 && code != 429 && code != 503 {
				t.Errorf("%d answers %d to a wrong password", n, code)
			}
		}
	})
}

// session is the session of an access token.
func session(t *testing.T, access string) string {
	t.Helper()
	var claims struct{ Sid string }
	parts := strings.Split(access, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil || claims.Sid == "" {
		t.Errorf("no access token: %q", access)
	}
	return claims.Sid
}
