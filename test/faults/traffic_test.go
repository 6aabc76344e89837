package faults

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/test/rig"
)

const secret = "a secret of more than 32 bytes for tests"

// token returns a token of the issuer, in that session. It is good at every
// clock of these tests.
func token(sid string) string {
	return tokenAt(sid, time.Now().Add(-2*time.Minute), time.Now().Add(time.Hour))
}

func tokenAt(sid string, issued, expires time.Time) string {
	head, _ := json.Marshal(map[string]any{"alg": "HS256", "typ": "JWT", "kid": "k"})
	body, _ := json.Marshal(map[string]any{
		"iss": "https://a.example", "aud": "api", "sub": "u-" + sid, "sid": sid, "jti": "t-" + sid, "iat": issued.Unix(), "exp": expires.Unix(),
	})
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// status is the answer's to a request with the token; 0: there was none.
func status(client *http.Client, g *rig.Gateway, token string) int {
	return call(client, g, "/", token)
}

func call(client *http.Client, g *rig.Gateway, path, token string) int {
	r, _ := http.NewRequest("GET", "http://"+g.Addr+path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// traffic asks gateways with good and with revoked tokens, steadily.
type traffic struct {
	mu      sync.Mutex
	good    map[int]int // answers by status
	revoked map[int]int
	took    []time.Duration
	idle    []time.Duration // what answers take that are about nothing, on this machine now
	strict  bool            // no 503 either
	stop    chan struct{}
	wg      sync.WaitGroup
}

const (
	// pace is the pause between two requests of one kind, good or revoked: 200
	// requests a second.
	pace = 10 * time.Millisecond
	// slowest is what 99 of 100 answers may take.
	slowest = 250 * time.Millisecond
)

func startTraffic(t *testing.T, gateways []*rig.Gateway, good, revoked string) *traffic {
	w := &traffic{good: map[int]int{}, revoked: map[int]int{}, stop: make(chan struct{})}
	for _, g := range gateways {
		each := pace * time.Duration(len(gateways))
		w.run(each, func(c *http.Client) int { return status(c, g, good) }, w.good, &w.took)
		w.run(each, func(c *http.Client) int { return status(c, g, revoked) }, w.revoked, &w.took)
		w.run(2*each, func(c *http.Client) int { return status(c, &rig.Gateway{Addr: g.Admin}, "") }, map[int]int{}, &w.idle)
	}
	t.Cleanup(w.end)
	return w
}

func (w *traffic) run(every time.Duration, ask func(*http.Client) int, answers map[int]int, took *[]time.Duration) {
	w.wg.Go(func() {
		client := &http.Client{Timeout: rig.Patience, Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			began := time.Now()
			code := ask(client)
			w.mu.Lock()
			answers[code]++
			*took = append(*took, time.Since(began))
			w.mu.Unlock()
		}
	})
}

func (w *traffic) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.wg.Wait()
}

// verdict checks what has come since it was last asked, and tells it.
func (w *traffic) verdict(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	p99, idle := percentile99(w.took), percentile99(w.idle)
	t.Logf("good tokens %v, revoked tokens %v, p99 %s", w.good, w.revoked, p99.Round(100*time.Microsecond))
	for code, n := range w.good {
		if code != 200 && (code != 503 || w.strict) {
			t.Errorf("good tokens: %d answers %d", n, code)
		}
	}
	for code, n := range w.revoked {
		if code != 401 {
			t.Errorf("revoked tokens: %d answers %d", n, code)
		}
	}
	if len(w.took) >= 100 && p99 > slowest+idle {
		t.Errorf("p99 is %s, and %s without a decision", p99, idle)
	}
	if len(w.good) == 0 || len(w.revoked) == 0 {
		t.Error("no traffic")
	}
	clear(w.good)
	clear(w.revoked)
	w.took, w.idle = nil, nil
}

func percentile99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
