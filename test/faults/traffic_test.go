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

// token returns a token of the issuer, in that session.
func token(sid string) string {
	now := time.Now().Unix()
	head, _ := json.Marshal(map[string]any{"alg": "HS256", "typ": "JWT", "kid": "k"})
	body, _ := json.Marshal(map[string]any{
		"iss": "https://a.example", "aud": "api", "sub": "u-" + sid, "sid": sid, "jti": "t-" + sid, "iat": now - 10, "exp": now + 3600,
	})
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// status is the answer's to a request with the token; 0: there was none.
func status(client *http.Client, g *rig.Gateway, token string) int {
	r, _ := http.NewRequest("GET", "http://"+g.Addr+"/", nil)
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
	stop    chan struct{}
	wg      sync.WaitGroup
}

// pace is the pause between two requests of one kind to one gateway: with two
// gateways, 200 requests a second.
const pace = 20 * time.Millisecond

func startTraffic(t *testing.T, gateways []*rig.Gateway, good, revoked string) *traffic {
	w := &traffic{good: map[int]int{}, revoked: map[int]int{}, stop: make(chan struct{})}
	for _, g := range gateways {
		w.run(g, good, w.good)
		w.run(g, revoked, w.revoked)
	}
	t.Cleanup(w.end)
	return w
}

func (w *traffic) run(g *rig.Gateway, token string, answers map[int]int) {
	w.wg.Go(func() {
		client := &http.Client{Timeout: rig.Patience, Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			began := time.Now()
			code := status(client, g, token)
			w.mu.Lock()
			answers[code]++
			w.took = append(w.took, time.Since(began))
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
	slices.Sort(w.took)
	var p99 time.Duration
	if n := len(w.took); n > 0 {
		p99 = w.took[n*99/100]
	}
	t.Logf("good tokens %v, revoked tokens %v, p99 %s", w.good, w.revoked, p99.Round(100*time.Microsecond))
	for code, n := range w.good {
		if code != 200 && code != 503 {
			t.Errorf("good tokens: %d answers %d", n, code)
		}
	}
	for code, n := range w.revoked {
		if code != 401 {
			t.Errorf("revoked tokens: %d answers %d", n, code)
		}
	}
	if len(w.good) == 0 || len(w.revoked) == 0 {
		t.Error("no traffic")
	}
	clear(w.good)
	clear(w.revoked)
	w.took = nil
}
