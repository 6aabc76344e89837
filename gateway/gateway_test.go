package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/config"
)

func TestWholeWay(t *testing.T) {
	r := start(t, yaml(echo(t), ""))
	token := r.token(nil)
	if res := r.get("/orders/1", "Api-Key", "web-key"); res.StatusCode != 401 || !strings.Contains(text(res), "token_missing") {
		t.Errorf("no token: %d", res.StatusCode)
	}
	res := r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+token)
	if got := text(res); res.StatusCode != 200 || got != `user=u1 client=web authorization=""` {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	renewed := strings.TrimPrefix(res.Header.Get("Authorization"), "Bearer ")
	if res := r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+renewed); renewed == token || res.StatusCode != 200 {
		t.Errorf("with the renewed token: %d", res.StatusCode)
	}
	if res := r.admin("POST", "/v1/revocations", `{"kind":"sid","id":"t1"}`); res.StatusCode != 201 {
		t.Fatalf("revoking: %d %s", res.StatusCode, text(res))
	}
	for name, token := range map[string]string{"first": token, "renewed": renewed} {
		if res := r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+token); res.StatusCode != 401 || !strings.Contains(text(res), "token_revoked") {
			t.Errorf("%s token after logout: %d", name, res.StatusCode)
		}
	}
	metrics := text(r.admin("GET", "/metrics", ""))
	for _, line := range []string{
		`gatehouse_requests_total{method="GET",route="orders",status="200"} 2`,
		`gatehouse_auth_decisions_total{reason="token_missing",result="denied",route="orders"} 1`,
		`gatehouse_renewals_total{issuer="main",result="minted"} 2`,
		`gatehouse_revocations{kind="sid"} 1`, `gatehouse_store_up 1`, `gatehouse_issuer_keys{issuer="main"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no line %s in\n%s", line, metrics)
		}
	}
	if err := r.stop(); err != nil {
		t.Errorf("not a clean drain: %v", err)
	}
}

func TestStoredAPIKeys(t *testing.T) {
	r := start(t, yaml(echo(t), ""))
	res := r.admin("POST", "/v1/keys", `{"id":"mobile"}`)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(text(res)), &made); err != nil || made.Key == "" {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	bearer := "Bearer " + r.token(nil)
	r.eventually("opened by the new key", func() bool {
		return strings.Contains(text(r.get("/orders/", "Api-Key", made.Key, "Authorization", bearer)), "client=mobile")
	})
	if res := r.admin("DELETE", "/v1/keys/mobile", ""); res.StatusCode != 204 {
		t.Fatalf("deleting: %d", res.StatusCode)
	}
	r.eventually("closed to the deleted key", func() bool {
		return r.get("/orders/", "Api-Key", made.Key, "Authorization", bearer).StatusCode == 401
	})
}

func TestListNeverComplete(t *testing.T) {
	cfg, err := config.Parse("gateway.yaml", []byte("revocation: {when_stale: allow, max_staleness: 5s}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := oneShard(t)
	l.set(cfg.Revocation)
	now := time.Now()
	if !l.Stale(now) {
		t.Error("a list that was never whole is trusted")
	}
	l.Current(now)
	if l.Stale(now.Add(1000 * time.Hour)) {
		t.Error("when_stale: allow does not allow")
	}
	cfg.Revocation.WhenStale = "deny"
	l.set(cfg.Revocation)
	if l.Stale(now.Add(5*time.Second)) || !l.Stale(now.Add(5001*time.Millisecond)) {
		t.Error("max_staleness is not the limit")
	}
}

func TestDrainFinishesRequests(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	defer s.Close()
	r := start(t, yaml(s.URL, fmt.Sprintf("  - {name: open, match: /open/, upstream: %q, auth: none}\n", s.URL)))
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + r.Addr().String() + "/open/")
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- text(res)
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	r.eventually("not ready", func() bool { return !r.Ready() })
	if res := r.admin("GET", "/readyz", ""); res.StatusCode != 503 {
		t.Errorf("readyz while draining: %d", res.StatusCode)
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way: %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestListenFails(t *testing.T) {
	text := yaml("http://127.0.0.1:1", "")
	for range 2 {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		text = strings.Replace(text, "127.0.0.1:0", taken.Addr().String(), 1)
	}
	cfg, err := config.Parse("gateway.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), Config{Config: cfg, Log: NewLog(cfg.Log, io.Discard)})
	if err == nil || strings.Count(err.Error(), "address already in use") != 2 {
		t.Errorf("%v", err)
	}
}

// A revocation is in force here before it is acknowledged, whatever the feed
// is doing.
func TestRevocationIsInForceAtOnce(t *testing.T) {
	r := start(t, yaml(echo(t), ""))
	entry := auth.Revocation{Kind: auth.KindSession, Issuer: "main", ID: "s", Until: time.Now().Add(time.Hour)}
	own := oneShard(t)
	if err := (&revoker{&tokenStore{r.store}, own}).Revoke(t.Context(), entry); err != nil || own.Covers(auth.KindSession, entry.Key(), 0, time.Now().Unix()) != auth.Covered {
		t.Errorf("not in force: %v", err)
	}
	entry.ID = ""
	if err := (&revoker{&tokenStore{r.store}, own}).Revoke(t.Context(), entry); err == nil {
		t.Error("an entry that cannot be stored was acknowledged")
	}
}
