package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/test/rig"
)

// sign makes a token of the issuer main.
func sign(t *testing.T) string {
	t.Helper()
	key, err := auth.NewSecretKey("hs", "HS256", []byte("b7Kq0vXw3NfZr8TjYd5LhGm2CsPa9EuQ"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	text, err := auth.Sign(key, "JWT", map[string]any{"iss": "https://auth.example.com", "aud": "api", "sub": "bob", "iat": now, "exp": now + 600})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Opaque tokens pass by what their issuer says of them, JWTs by their signature,
// on one route.
func TestOpaqueTokens(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, up, _ := startAsking(t, a, "", "")
	a.say("good/token+1==", `,"sub":"alice","email":"a@example.com","scope":"read"`)
	if res := w.with(t, "/both/", "good/token+1=="); res.Status != 200 {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	if h := up.Last(t).Header; h.Get("X-User-Id") != "alice" || h.Get("X-Email") != "a@example.com" || h.Get("Authorization") != "" {
		t.Errorf("the upstream is told %v", h)
	}
	w.want(t, "/afar/", "good/token+1==", 200)
	w.with(t, "/write/", "good/token+1==").Refused(t, 403, "scope_insufficient")
	if n := a.times(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.with(t, "/main/", "good/token+1==").Refused(t, 401, "token_malformed")
	w.with(t, "/afar/", "not\"one").Refused(t, 401, "token_malformed")
	w.with(t, "/afar/", strings.Repeat("x", 4097)).Refused(t, 401, "token_malformed")
	jwt := sign(t)
	w.want(t, "/both/", jwt, 200)
	w.with(t, "/afar/", jwt).Refused(t, 401, "token_untrusted")
	if n := a.times(); n != 1 {
		t.Errorf("asked %d times, about what is not its own", n)
	}
	up.Take()
	w.with(t, "/both/", "unknown").Refused(t, 401, "token_untrusted")
	for token, more := range map[string]string{
		"iss": `,"sub":"alice","iss":"https://auth.example.com"`, "refresh": `,"sub":"alice","token_use":"refresh_token"`,
		"nobody": `,"scope":"read"`, "over": `,"sub":"alice","exp":1000000000`,
	} {
		a.say(token, more)
		if res := w.with(t, "/both/", token); res.Status != 401 {
			t.Errorf("%s: %d", token, res.Status)
		}
	}
	up.Nothing(t)
	before := a.times()
	for range 20 {
		w.with(t, "/afar/", "unknown2").Refused(t, 401, "token_untrusted")
	}
	if n := a.times() - before; n != 1 {
		t.Errorf("asked %d times about a token that is not good", n)
	}
	metrics := w.AdminCall(t, "GET", "/metrics", "").Body
	for _, want := range []string{
		`gatehouse_introspection_total{issuer="afar",result="active"} 5`, `gatehouse_introspection_total{issuer="afar",result="inactive"} 2`,
		`gatehouse_introspection_duration_seconds_count{issuer="afar"} 7`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(metrics, `gatehouse_issuer_keys{issuer="afar"}`) {
		t.Error("it counts as an issuer that lacks keys")
	}
}

// A revocation here counts at once; one there, when the answer is too old.
func TestOpaqueTokenIsRevoked(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, _, cfg := startAsking(t, a, ", cache: 1s", "")
	revoke := func(kind, id string) {
		t.Helper()
		if res := w.AdminCall(t, "POST", "/v1/revocations", fmt.Sprintf(`{"kind":%q,"id":%q,"issuer":"afar"}`, kind, id)); res.Status != 201 {
			t.Fatalf("%d %s", res.Status, res.Body)
		}
	}
	for _, token := range []string{"one", "two", "three"} {
		a.say(token, fmt.Sprintf(`,"sub":"sub-%s","iat":%d`, token, time.Now().Unix()-5))
		w.want(t, "/afar/", token, 200)
	}
	sum := sha256.Sum256([]byte("one"))
	revoke("jti", hex.EncodeToString(sum[:]))
	w.with(t, "/afar/", "one").Refused(t, 401, "token_revoked")
	revoke("sub", "sub-two")
	w.with(t, "/afar/", "two").Refused(t, 401, "token_revoked")
	a.forget("three")
	began := time.Now()
	rig.Eventually(t, "401", func() bool { return w.with(t, "/afar/", "three").Status == 401 })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	a.say("four", `,"sub":"sub-four"`)
	file := withEnv(cfg, "STORE", "file:gatehouse.db")
	if out := w.run(t, file, "four", "token", "revoke", "--token-file", "-"); !strings.Contains(out, "revoked") || strings.Contains(out, "nothing was") {
		t.Errorf("token revoke: %s", out)
	}
	if out := w.run(t, file, "five", "token", "revoke", "--token-file", "-"); !strings.Contains(out, "nothing was revoked: token_untrusted") {
		t.Errorf("token revoke: %s", out)
	}
}

// An issuer that does not answer is 503 for what is not remembered, and for
// nothing else; it needs no restart of ours when it is back.
func TestIntrospectionFails(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, _, _ := startAsking(t, a, ", timeout: 200ms", "")
	a.say("known", `,"sub":"alice"`)
	a.say("new", `,"sub":"alice"`)
	w.want(t, "/afar/", "known", 200)
	ended := make(chan struct{})
	defer close(ended)
	answer := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, handle := range map[string]http.HandlerFunc{
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-ended:
			case <-r.Context().Done():
			}
		},
		"500":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"cut off":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"html":      answer("text/html", `{"active":true,"sub":"alice","aud":"api"}`),
		"twice":     answer("application/json", `{"active":false,"active":true,"sub":"alice","aud":"api"}`),
		"a string":  answer("application/json", `{"active":"true","sub":"alice","aud":"api"}`),
		"endless":   answer("application/json", `{"active":true,"sub":"`+strings.Repeat("a", 70_000)+`","aud":"api"}`),
		"two":       answer("application/json", `{"active":true,"sub":"alice","aud":"api"}{}`),
		"not quite": answer("application/json", `{"active":true,"sub":"alice","aud":"api"`),
	} {
		a.does(handle)
		res := w.with(t, "/afar/", "new")
		if res.Refused(t, 503, "keys_unavailable"); t.Failed() {
			t.Fatal(name)
		}
		if res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
	}
	w.want(t, "/afar/", "known", 200)
	w.want(t, "/both/", sign(t), 200)
	if res := w.AdminCall(t, "GET", "/readyz", ""); res.Status != 200 || !strings.Contains(res.Body, "introspection gets no answer of issuer afar") {
		t.Errorf("readiness: %d %s", res.Status, res.Body)
	}
	a.does(nil)
	w.want(t, "/afar/", "new", 200)
	if res := w.AdminCall(t, "GET", "/readyz", ""); strings.Contains(res.Body, "afar") {
		t.Errorf("readiness: %s", res.Body)
	}
	a.stop()
	w.with(t, "/afar/", "other").Refused(t, 503, "keys_unavailable")
	w.want(t, "/afar/", "known", 200)
	a.start(t)
	w.with(t, "/afar/", "other").Refused(t, 401, "token_untrusted")
}

// A wrong secret of ours is our fault, and the log says what to do.
func TestIntrospectionRefusesUs(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, _, cfg := startAsking(t, a, "", "")
	a.mu.Lock()
	a.secret = "another-secret"
	a.mu.Unlock()
	w.with(t, "/afar/", "token-of-a-user").Refused(t, 503, "keys_unavailable")
	line := w.Log.Wait(t, "introspection: the issuer cannot be asked; its tokens that are not remembered are answered 503")
	if text := fmt.Sprint(line); line["level"] != "ERROR" || !strings.Contains(text, "client_id and client_secret") || line["issuer"] != "afar" {
		t.Errorf("the log says %v", line)
	}
	for _, secret := range []string{"token-of-a-user", "introspection-secret"} {
		if strings.Contains(w.Log.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
	w.reload(t, strings.Replace(cfg.YAML, "${SECRET}", "another-secret", 1))
	w.with(t, "/afar/", "token-of-a-user").Refused(t, 401, "token_untrusted")
}

// A flood of made-up tokens takes neither the issuer down nor those who are known.
func TestD11IntrospectionFlood(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, _, _ := startAsking(t, a, ", max_concurrent: 3", "")
	a.say("known", `,"sub":"alice"`)
	w.want(t, "/afar/", "known", 200)
	release := make(chan struct{})
	a.does(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":false}`)
	})
	var flood sync.WaitGroup
	statuses := make(chan int, 60)
	for n := range 60 {
		flood.Go(func() { statuses <- w.with(t, "/afar/", fmt.Sprint("made-up-", n)).Status })
	}
	for range 57 { // all but those that wait for the issuer
		if s := <-statuses; s != 503 {
			t.Errorf("one call too many: %d", s)
		}
	}
	w.want(t, "/afar/", "known", 200)
	close(release)
	flood.Wait()
	for range 3 {
		if s := <-statuses; s != 401 {
			t.Errorf("%d", s)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.peak > 3 {
		t.Errorf("%d questions at once", a.peak)
	}
}

// Commands ask as the gateway does; check asks nobody.
func TestIntrospectionCommands(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	w, _, cfg := startAsking(t, a, "", "")
	a.say("good", `,"sub":"alice"`)
	file := withEnv(cfg, "STORE", "file:gatehouse.db")
	if out := w.run(t, file, "", "check"); strings.Contains(out, "refused") || a.times() != 0 {
		t.Errorf("check asks the issuer: %s", out)
	}
	if out := w.run(t, file, "good", "explain", "/afar/", "--token-file", "-"); !strings.Contains(out, `issuer "afar" answers active: true`) {
		t.Errorf("explain: %s", out)
	}
	if out := w.run(t, file, "good", "token", "inspect"); !strings.Contains(out, "\nvalid\n") || !strings.Contains(out, "alice") {
		t.Errorf("inspect: %s", out)
	}
	if out := w.run(t, file, "bad", "token", "inspect"); !strings.Contains(out, `answers active: false`) {
		t.Errorf("inspect: %s", out)
	}
	ask := `{"method":"GET","target":"/afar/","headers":[{"name":"Authorization","value":"Bearer good"}]}`
	if res := w.AdminCall(t, "POST", "/v1/explain", ask); res.Status != 200 || !strings.Contains(res.Body, "answers active: true") {
		t.Errorf("explain by the admin API: %d %s", res.Status, res.Body)
	}
	a.stop()
	if out := w.run(t, file, "good", "explain", "/afar/", "--token-file", "-"); !strings.Contains(out, "keys_unavailable") || !strings.Contains(out, "connection refused") {
		t.Errorf("explain without the issuer: %s", out)
	}
}

// Servers with a certificate of a private authority are believed where it is
// named, for keys and for tokens, and when it is named by a reload.
func TestPrivateAuthorities(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	var caFile string
	a.URL, caFile = serveTLS(t, http.HandlerFunc(a.serve))
	a.say("good", `,"sub":"alice"`)
	w, _, cfg := startAsking(t, a, "", "")
	w.with(t, "/afar/", "good").Refused(t, 503, "keys_unavailable")
	w.reload(t, strings.Replace(cfg.YAML, "introspection: {", `tls: {ca_file: "`+caFile+`"}, introspection: {`, 1))
	w.want(t, "/afar/", "good", 200)

	for kind, where := range kinds {
		i, k := newIssuer(t), newKey(t, "k1")
		i.publish(k)
		i.URL, caFile = serveTLS(t, http.HandlerFunc(i.serve))
		iss, keys := where(i)
		cfg := setup("memory:", rig.StartUpstream(t).URL, iss, keys)
		w := &world{rig.Start(t, cfg), iss}
		w.ask(t, k).Refused(t, 503, "keys_unavailable")
		w.reload(t, strings.Replace(cfg.YAML, keys, keys+`, tls: {ca_file: "`+caFile+`"}`, 1))
		if res := w.ask(t, k); res.Status != 200 {
			t.Errorf("%s: %d %s", kind, res.Status, res.Body)
		}
	}
}
