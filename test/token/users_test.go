package token_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/auth/users/userstest"
	"gatehouse/test/rig"
)

const fileUsers = "users: [{file: users.yaml}]"

// hashOf is the hash of a user of the users file.
func hashOf(name string) string {
	_, text, _ := strings.Cut(rig.Users, "username: "+name)
	_, text, _ = strings.Cut(text, `password_hash: "`)
	text, _, _ = strings.Cut(text, `"`)
	return text
}

// as logs in by name, with jane's password.
func (w *world) as(t testing.TB, name string) rig.Answer {
	t.Helper()
	return w.post(t, tokenPath, "grant_type=password&client_id=spa&password=correct+horse&username="+url.QueryEscape(name))
}

// Users in PostgreSQL, by the query of the documentation.
func TestPostgresUsers(t *testing.T) {
	t.Parallel()
	db := userstest.StartPostgres(t)
	db.Do(t, "create table users (id bigint primary key, password_hash text, email text, disabled bool not null default false, claims jsonb)")
	db.Do(t, fmt.Sprintf(`insert into users values
		(9007199254740993, '%[1]s', 'Ann@Example.com', false, '{"roles": ["staff"], "account": 12345678901234567890}'),
		(2, '%[1]s', 'disabled@example.com', true, null),
		(3, '%[2]s', 'jane@example.com', false, null)`, hashOf("jane"), hashOf("bob"))) // the file's jane comes first
	w := start(t, "memory:", replace(fileUsers, `users: [{file: users.yaml}, {postgres: {url_env: DATABASE_URL, timeout: 2s, query: "select id, password_hash, email, disabled, claims from users where lower(email) = lower($1)"}}]`),
		set("DATABASE_URL", db.URL()))

	got := granted(t, w.as(t, "ann@example.com"))
	claims := part(t, got.Access, 1)
	if claims["sub"] != "9007199254740993" || !equal(claims["roles"], []any{"staff"}) || !equal(claims["account"], "12345678901234567890") || claims["email"] != "Ann@Example.com" {
		t.Errorf("the claims are %v", claims)
	}
	w.alive(t, got.Access)
	if claims := part(t, granted(t, w.as(t, "jane@example.com")).Access, 1); claims["sub"] != "user-123" {
		t.Errorf("the first source is not the first: %v", claims)
	}
	for _, name := range []string{"disabled@example.com", "nobody@example.com", "' or true --", "ann@example.com'; drop table users; --"} {
		refused(t, w.as(t, name), 400, "invalid_grant")
	}
	refused(t, w.attempt(t, "ann@example.com"), 400, "invalid_grant")

	db.Do(t, `update users set claims = '{"roles": ["admin"]}' where id = 9007199254740993`)
	got = granted(t, w.refresh(t, got.Refresh))
	if claims := part(t, got.Access, 1); !equal(claims["roles"], []any{"admin"}) {
		t.Errorf("after a change: %v", claims)
	}

	db.Kill()
	unavailable(t, "login", w.as(t, "ann@example.com"))
	unavailable(t, "refresh", w.refresh(t, got.Refresh))
	granted(t, w.as(t, "jane")) // whom the file knows
	db.Start(t)
	rig.Eventually(t, "well again", func() bool { return w.as(t, "ann@example.com").Status == 200 })
	got = granted(t, w.refresh(t, got.Refresh))

	db.Do(t, "update users set disabled = true where id = 9007199254740993")
	refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
	refused(t, w.as(t, "ann@example.com"), 400, "invalid_grant")
	if strings.Contains(w.Log.String(), "correct horse") || strings.Contains(w.Log.String(), hashOf("jane")) {
		t.Error("the log has a secret")
	}
}

// delegate is a service that knows ann.
type delegate struct {
	mu     sync.Mutex
	status int // what it answers to everything; 0: what is right
	gone   bool
	roles  []string
	asked  []string // paths
}

func (d *delegate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r.URL.Path)
	var ask map[string]string
	if json.NewDecoder(r.Body).Decode(&ask) != nil || r.Method != "POST" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		w.WriteHeader(400)
		return
	}
	known := ask["username"] == "ann" && !d.gone
	switch {
	case d.status != 0:
		w.WriteHeader(d.status)
	case r.URL.Path == "/verify" && known && ask["password"] == rig.JanePassword, r.URL.Path == "/lookup" && known && ask["id"] == "ann-1":
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "ann-1", "claims": map[string]any{"roles": d.roles}})
	default:
		w.WriteHeader(401)
	}
}

func (d *delegate) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// Users of another service.
func TestHTTPUsers(t *testing.T) {
	t.Parallel()
	d := &delegate{roles: []string{"staff"}}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	w := start(t, "memory:", replace(fileUsers, `users: [{file: users.yaml}, {http: {url: "${DELEGATE}/verify", lookup_url: "${DELEGATE}/lookup", timeout: 2s}}]`), set("DELEGATE", server.URL))

	got := granted(t, w.as(t, "Ann"))
	if claims := part(t, got.Access, 1); claims["sub"] != "ann-1" || !equal(claims["roles"], []any{"staff"}) {
		t.Errorf("the claims are %v", claims)
	}
	w.alive(t, got.Access)
	refused(t, w.attempt(t, "ann"), 400, "invalid_grant")
	refused(t, w.as(t, "nobody"), 400, "invalid_grant")
	granted(t, w.as(t, "jane"))

	d.set(func() { d.roles = []string{"admin"} })
	got = granted(t, w.refresh(t, got.Refresh))
	if claims := part(t, got.Access, 1); !equal(claims["roles"], []any{"admin"}) {
		t.Errorf("after a change: %v", claims)
	}
	for _, status := range []int{500, 503, 302, 201} {
		d.set(func() { d.status = status })
		unavailable(t, "login", w.as(t, "ann"))
		unavailable(t, "refresh", w.refresh(t, got.Refresh))
	}
	d.set(func() { d.status = 0 })
	got = granted(t, w.refresh(t, got.Refresh))
	d.set(func() { d.gone = true })
	refused(t, w.refresh(t, got.Refresh), 400, "invalid_grant")
	server.Close()
	unavailable(t, "login", w.as(t, "ann"))
}

// What `gatehouse user hash` prints is the line for the users file.
func TestUserHashIsTheLine(t *testing.T) {
	t.Parallel()
	hash := rig.Command(t.TempDir(), "user", "hash")
	hash.Stdin = strings.NewReader("a new password of zoë's\n")
	line, err := hash.Output()
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, "memory:", func(c *rig.Config) {
		c.Files["users.yaml"] = rig.Users + "- id: user-1000\n  username: zoe\n  " + string(line)
	})
	a := w.post(t, tokenPath, "grant_type=password&client_id=spa&username=zoe&password="+url.QueryEscape("a new password of zoë's"))
	if claims := part(t, granted(t, a).Access, 1); claims["sub"] != "user-1000" {
		t.Errorf("the claims are %v", claims)
	}
	refused(t, w.as(t, "zoe"), 400, "invalid_grant")
}
