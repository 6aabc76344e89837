package program

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

// run runs a verb in a gateway's folder and returns what it prints.
func run(t *testing.T, g *rig.Gateway, in string, args ...string) string {
	t.Helper()
	cmd := rig.Command(g.Folder, args...)
	cmd.Stdin = strings.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, &errs)
	}
	return strings.TrimSpace(string(out))
}

// Verbs work on the Redis that the config names, beside gateways on it.
func TestVerbsOnRedis(t *testing.T) {
	t.Parallel()
	redis := storetest.StartRedis(t)
	u := rig.StartUpstream(t)
	yaml := configured(redis.URL(), "", u.URL) + `  - {name: user, match: /user, auth: bearer}
  - {name: app, match: /app, auth: api_key}
issuers:
  - {name: main, issuer: https://a.example, audiences: [api], keys: [{kid: k, algorithm: HS256, secret: "a secret of more than 32 bytes for tests"}]}
`
	one, two := start(t, t.TempDir(), rig.Config{YAML: yaml}), start(t, t.TempDir(), rig.Config{YAML: yaml})
	both := func(status int, path, line string) {
		t.Helper()
		for _, g := range []*rig.Gateway{one, two} {
			rig.Eventually(t, path+" is answered as it should be", func() bool { return g.Send(t, rig.Get(path, line)).Status == status })
		}
	}
	token := run(t, one, "", "token", "mint", "--subject", "alice")
	both(200, "/user", "Authorization: Bearer "+token)
	run(t, one, token, "token", "revoke", "--token-file", "-")
	both(401, "/user", "Authorization: Bearer "+token)

	var made struct{ ID, Key string }
	if err := json.Unmarshal([]byte(run(t, two, "", "key", "new", "--store", "--id", "batch", "--json")), &made); err != nil {
		t.Fatal(err)
	}
	both(200, "/app", "Api-Key: "+made.Key)
	if list := run(t, one, "", "key", "list"); !strings.Contains(list, "batch") || strings.Contains(list, made.Key) {
		t.Errorf("key list prints\n%s", list)
	}
	run(t, one, "", "key", "revoke", "batch")
	both(401, "/app", "Api-Key: "+made.Key)
}
