// Package scale runs the gateway with a revocation list that does not fit into
// the memory it may take.
package scale

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

var (
	entries = flag.Int("scale.entries", 250_000, "how many sessions are revoked")
	memory  = flag.String("scale.memory", "1MiB", "revocation.max_memory")
	limit   = flag.String("scale.limit", "", "GOMEMLIMIT of the gateway; empty: none")
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

const secret = "a secret of more than 32 bytes for tests"

// token returns a token of a session; each session has a user of its own.
func token(sid int) string {
	head, _ := json.Marshal(map[string]any{"alg": "HS256", "typ": "JWT", "kid": "k"})
	now := time.Now().Unix()
	body, _ := json.Marshal(map[string]any{
		"iss": "https://a.example", "aud": "api", "sub": fmt.Sprint("u", sid), "sid": fmt.Sprint(sid), "jti": fmt.Sprint("t", sid),
		"client_id": "web", "iat": now - 60, "exp": now + 3600,
	})
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func start(t *testing.T, redis *storetest.Redis) *rig.Gateway {
	cfg := rig.Config{YAML: fmt.Sprintf(`
server: {listen: "127.0.0.1:0"}
admin: {listen: "127.0.0.1:0", token: %q}
store: {url: %q, timeout: 1s}
revocation: {max_memory: %s, max_staleness: 1h}
log: {access: false}
defaults: {upstream: %q, auth: bearer}
routes: [{name: all, match: /}]
issuers:
  - {name: main, issuer: https://a.example, audiences: [api], keys: [{kid: k, algorithm: HS256, secret: %q}]}
`, rig.AdminToken, redis.URL(), *memory, rig.StartUpstream(t).URL, secret)}
	if *limit != "" {
		cfg.Env = map[string]string{"GOMEMLIMIT": *limit}
	}
	g := rig.StartUnready(t, cfg)
	began := time.Now()
	for g.AdminCall(t, "GET", "/readyz", "").Status != 200 { // longer than rig.Patience for ten million
		if time.Since(began) > 3*time.Minute {
			t.Fatal("never ready")
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d entries: ready after %s", *entries, time.Since(began).Round(10*time.Millisecond))
	return g
}

// metric is the value of a series of the gateway's.
func metric(t *testing.T, g *rig.Gateway, series string) float64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(g.AdminCall(t, "GET", "/metrics", "").Body)
	if found == nil {
		t.Fatalf("there is no metric %s", series)
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fill puts the entries into the server with their numbers as names.
func fill(t *testing.T, redis *storetest.Redis) {
	const script = `for i = ARGV[1], ARGV[2] do
  redis.call('HSET', KEYS[1], 'sid 4 main ' .. string.format('%.0f', i), '4294967295 ' .. ARGV[3])
end`
	until := strconv.FormatInt(time.Now().Add(24*time.Hour).Unix(), 10)
	for from := 0; from < *entries; from += 10_000 {
		redis.Do(t, "EVAL", script, "1", "gatehouse:{0}:revocations", strconv.Itoa(from), strconv.Itoa(min(from+10_000, *entries)-1), until)
	}
}

// tally sends requests with tokens of sessions, and counts the answers.
func tally(t *testing.T, g *rig.Gateway, sessions ...int) map[string]int {
	t.Helper()
	answers := map[string]int{}
	for _, sid := range sessions {
		r, err := http.NewRequest("GET", "http://"+g.Addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token(sid))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ Code string }
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		_ = json.Unmarshal(body, &p)
		answers[fmt.Sprint(res.StatusCode)+p.Code]++
	}
	return answers
}

// numbers are n of them from a first one on, step by step.
func numbers(first, step, n int) (all []int) {
	for i := range n {
		all = append(all, first+i*step)
	}
	return all
}

func total(answers map[string]int) (n int) {
	for _, each := range answers {
		n += each
	}
	return n
}

// TestFilterServes: a gateway that holds a filter of the list refuses what was
// revoked and nothing else. Without its store it refuses what it knows, says of
// what it is unsure of that it cannot tell, and lets the rest in.
func TestFilterServes(t *testing.T) {
	redis := storetest.StartRedis(t)
	fill(t, redis)
	g := start(t, redis)
	const n = 1000
	if bits := metric(t, g, "gatehouse_revocation_filter_bits"); bits == 0 {
		t.Fatal("there is no filter")
	} else {
		t.Logf("%.1f bits an entry", bits/float64(*entries))
	}
	if got := tally(t, g, numbers(0, *entries/n, n)...); got["401token_revoked"] != n {
		t.Errorf("revoked: %v", got)
	}
	asked := metric(t, g, `gatehouse_revocation_confirmations_total{result="revoked"}`)
	if got := tally(t, g, numbers(*entries, 1, n)...); got["200"] != n {
		t.Errorf("good: %v", got)
	}
	mistaken := metric(t, g, `gatehouse_revocation_confirmations_total{result="not_revoked"}`)
	t.Logf("of %d good tokens, the store was asked about %.0f of their %d ids", n, mistaken, 3*n)
	// Those that were in the tables before there was a filter are known exactly.
	if asked < 0.9*n || asked > n || metric(t, g, `gatehouse_revocation_confirmations_total{result="failed"}`) != 0 {
		t.Errorf("of %d revoked tokens the store was asked about %.0f", n, asked)
	}
	fresh := *entries + 1_000_000
	if a := g.AdminCall(t, "POST", "/v1/revocations", fmt.Sprintf(`{"kind":"sid","id":"%d"}`, fresh)); a.Status != 201 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	t.Logf("resident: %.1f MiB", metric(t, g, "process_resident_memory_bytes")/(1<<20))

	redis.Kill()
	if got := tally(t, g, fresh, 0, *entries/n); got["401token_revoked"] != 3 {
		t.Errorf("without the store, of revoked ones that are known exactly: %v", got)
	}
	if got := tally(t, g, numbers(*entries, 1, n)...); got["200"] != n {
		t.Errorf("without the store, of good ones that were asked about before: %v", got)
	}
	if got := tally(t, g, numbers(1, *entries/n, 50)...); got["503store_unavailable"] < 40 || got["503store_unavailable"]+got["401token_revoked"] != 50 {
		t.Errorf("without the store, of revoked ones that the filter alone has: %v", got)
	}
	got := tally(t, g, numbers(*entries+2_000_000, 1, n)...)
	if got["200"]+got["503store_unavailable"] != total(got) || got["503store_unavailable"] > n/10 {
		t.Errorf("without the store, of good ones: %v", got)
	}
	t.Logf("without the store, of %d good tokens that are new: %v", n, got)
}
