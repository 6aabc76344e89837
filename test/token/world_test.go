// Package token_test holds the built program to what it promises of its token
// service: the guides that it must be able to serve are followed to the letter,
// and it is attacked by the rows of docs/threats.md that are named R and A.
package token_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/store/storetest"
	"gatehouse/test/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Run(m)) }

const (
	keyLine     = "Api-Key: " + rig.WebKey
	partnerLine = "Api-Key: " + rig.PartnerKey
	jane        = "grant_type=password&username=jane&password=correct+horse"
	backend     = "&client_id=backend&client_secret=a+secret%3A+of+100%25+%2B+backend"

	tokenPath   = "/oauth2/token"
	revokePath  = "/oauth2/revoke"
	inspectPath = "/oauth2/introspect"
	apiPath     = "/ma-authentication-ms/v1/api/oauth/token"
)

// world is a gateway with its upstream.
type world struct {
	*rig.Gateway
	up  *rig.Upstream
	env map[string]string
}

// start starts a gateway on that store; change may alter its configuration.
func start(t testing.TB, store string, change ...func(*rig.Config)) *world {
	t.Helper()
	up := rig.StartUpstream(t)
	cfg := rig.TokenService(store, up.URL)
	for _, each := range change {
		each(&cfg)
	}
	return &world{rig.Start(t, cfg), up, cfg.Env}
}

// environment is what the configuration's variables are set to.
func (w *world) environment() []string {
	var all []string
	for name, value := range w.env {
		all = append(all, name+"="+value)
	}
	return all
}

// pair starts two gateways on one Redis.
func pair(t testing.TB, change ...func(*rig.Config)) (one, two *world, redis *storetest.Redis) {
	t.Helper()
	redis = storetest.StartRedis(t)
	return start(t, redis.URL(), change...), start(t, redis.URL(), change...), redis
}

// stores runs a test on each kind of store, at the same time.
func stores(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, "file:gatehouse.db")
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, storetest.StartRedis(t).URL())
	})
}

// set sets a variable of the configuration.
func set(name, value string) func(*rig.Config) {
	return func(c *rig.Config) { c.Env[name] = value }
}

// replace changes a text in the configuration, which must be in it.
func replace(old, replacement string) func(*rig.Config) {
	return func(c *rig.Config) {
		if !strings.Contains(c.YAML, old) {
			panic(fmt.Sprintf("the configuration has no %q", old))
		}
		c.YAML = strings.Replace(c.YAML, old, replacement, 1)
	}
}

// post sends a body, as JSON when it looks like it, else as a form.
func (w *world) post(t testing.TB, path, body string, lines ...string) rig.Answer {
	t.Helper()
	kind := "Content-Type: application/x-www-form-urlencoded"
	if strings.HasPrefix(body, "{") {
		kind = "Content-Type: application/json"
	}
	if body == "" {
		kind = "Content-Length: 0"
	}
	return w.Send(t, rig.Request("POST", path, body, append(lines, kind)...))
}

// get sends a GET request.
func (w *world) get(t testing.TB, path string, lines ...string) rig.Answer {
	t.Helper()
	return w.Send(t, rig.Get(path, lines...))
}

// tokens are what a grant of the dialects oauth2 and password_form answers.
type tokens struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Scope     string `json:"scope"`
}

// granted are the tokens in an answer, which must be one that has some.
func granted(t testing.TB, a rig.Answer) tokens {
	t.Helper()
	var got tokens
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != 200 || got.Access == "" {
		t.Fatalf("no token: %d %s", a.Status, a.Body)
	}
	return got
}

// login logs jane in, as a user of the public client spa.
func (w *world) login(t testing.TB, lines ...string) tokens {
	t.Helper()
	return granted(t, w.post(t, tokenPath, jane+"&client_id=spa&scope=orders:read", lines...))
}

// refresh asks for new tokens as spa.
func (w *world) refresh(t testing.TB, token string) rig.Answer {
	t.Helper()
	return w.post(t, tokenPath, "grant_type=refresh_token&client_id=spa&refresh_token="+token)
}

// call is a request with a token that is to be forwarded.
func (w *world) call(t testing.TB, access string) rig.Answer {
	t.Helper()
	return w.get(t, "/api/", bearer(access))
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// alive checks that a token is let through.
func (w *world) alive(t testing.TB, access string) {
	t.Helper()
	if a := w.call(t, access); a.Status != 200 {
		t.Errorf("a call is answered %d %s", a.Status, a.Body)
	}
}

// dead waits until a token is no longer let through, for it was revoked.
func (w *world) dead(t testing.TB, access string) {
	t.Helper()
	rig.Eventually(t, "dead", func() bool { return w.call(t, access).Status == 401 })
	w.call(t, access).Refused(t, 401, "token_revoked")
}

// refused checks that an answer has that status and error code, wherever its
// dialect puts it, and no token.
func refused(t testing.TB, a rig.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || !strings.Contains(a.Body, code) {
		t.Errorf("got %d %.300s, want %d %s", a.Status, a.Body, status, code)
	}
	tokenless(t, a)
}

// tokenless checks that an answer carries no token.
func tokenless(t testing.TB, a rig.Answer) {
	t.Helper()
	for _, text := range []string{a.Body, fmt.Sprint(a.Header)} {
		if strings.Contains(text, "eyJ") || strings.Contains(text, "access") {
			t.Errorf("an answer %d carries a token: %s", a.Status, text)
		}
	}
}

// unavailable checks that an answer says that the gateway cannot tell now.
func unavailable(t testing.TB, what string, a rig.Answer) {
	t.Helper()
	if a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %s, Retry-After %q, want 503", what, a.Status, a.Body, a.Header.Get("Retry-After"))
	}
	tokenless(t, a)
}

// part is a part of a token, decoded: 0 is its header, 1 its claims. Numbers
// are as they stand.
func part(t testing.TB, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil {
		t.Fatal(err)
	}
	return object(t, string(raw))
}

// object decodes a JSON object.
func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var all map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return all
}

// text is a member of an object that is a string, at the end of that path.
func text(t testing.TB, from map[string]any, path ...string) string {
	t.Helper()
	for _, name := range path[:len(path)-1] {
		next, ok := from[name].(map[string]any)
		if !ok {
			t.Fatalf("%s is no object in %v", name, from)
		}
		from = next
	}
	s, ok := from[path[len(path)-1]].(string)
	if !ok {
		t.Fatalf("%s is no string in %v", path, from)
	}
	return s
}

// number is a claim that is a whole number.
func number(t testing.TB, from map[string]any, name string) int64 {
	t.Helper()
	n, ok := from[name].(json.Number)
	if !ok {
		t.Fatalf("%s is %v", name, from[name])
	}
	i, err := n.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// members checks the names of an object, all of them.
func members(t testing.TB, from map[string]any, names ...string) {
	t.Helper()
	slices.Sort(names)
	if got := slices.Sorted(maps.Keys(from)); !slices.Equal(got, names) {
		t.Errorf("the members are %q, want %q", got, names)
	}
}

// revoke revokes by the admin API.
func (w *world) revoke(t testing.TB, body string) {
	t.Helper()
	if a := w.AdminCall(t, "POST", "/v1/revocations", body); a.Status != 201 {
		t.Fatalf("revoking %s: %d %s", body, a.Status, a.Body)
	}
}

// decode decodes JSON.
func decode(t testing.TB, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}
