package gateway

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/store/storetest"
)

// A list in several shards is one list: what is revoked at one gateway is in
// force at the other, and counted once.
func TestShards(t *testing.T) {
	const n = 32
	server := storetest.StartRedis(t)
	redis := func(shards int) string {
		text := yaml(echo(t), "")
		return strings.Replace(text, `{url: "memory:"}`, fmt.Sprintf(`{url: %q, revocation_shards: %d}`, server.URL(), shards), 1)
	}
	a, b := start(t, redis(4)), start(t, redis(4))
	for i := range n {
		if res := a.admin("POST", "/v1/revocations", fmt.Sprintf(`{"kind":"sid","id":"s%d"}`, i)); res.StatusCode != 201 {
			t.Fatalf("%d %s", res.StatusCode, text(res))
		}
	}
	for _, r := range []*rig{a, b} {
		r.eventually("revoked", func() bool { return r.list.Len()[auth.KindSession] == n })
		for i := range n {
			if res := r.get("/orders/1", "Api-Key", "web-key", "Authorization", "Bearer "+r.token(map[string]any{"sid": fmt.Sprint("s", i)})); res.StatusCode != 401 {
				t.Errorf("session %d: %d", i, res.StatusCode)
			}
		}
		if listed := strings.Count(text(r.admin("GET", "/v1/revocations", "")), `"kind":"sid"`); listed != n {
			t.Errorf("%d entries are listed", listed)
		}
		if !strings.Contains(r.log.String(), `"shard":3`) {
			t.Errorf("no line says which shard it is about:\n%s", r.log)
		}
		if age := r.list.Age(time.Now()); age > 5*time.Second {
			t.Errorf("the list is %s old", age)
		}
	}

	// Who was told another number does not start, and says where that is set.
	cfg := parse(t, fmt.Sprintf("server: {listen: \"127.0.0.1:0\"}\nadmin: {listen: \"127.0.0.1:0\"}\nstore: {url: %q, revocation_shards: 8}\n", server.URL()))
	_, err := New(t.Context(), Config{Config: cfg, Log: NewLog(cfg.Log, &logBuffer{})})
	problem := config.Problem{}
	if !errors.As(err, &problem) || problem.Path != "store.revocation_shards" || !strings.HasPrefix(problem.Message, "the revocation list in this store has 4 shards") || !strings.Contains(problem.Message, "set store.revocation_shards to 4") {
		t.Errorf("8 shards where there are 4: %v", err)
	}
}
