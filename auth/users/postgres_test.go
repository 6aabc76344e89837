package users

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth/token"
	"gatehouse/auth/users/userstest"
)

// contractQuery is the example of the documentation.
const contractQuery = "select id, password_hash, email, disabled, claims from users where lower(email) = lower($1)"

// database is a server with these users:
//
//	1 Anna@example.com right, with claims
//	2 off@example.com  right, disabled
//	3 bob@example.com  right by bcrypt, all else null
//	4 carol@example.com without a password
//	5, 6 twice@example.com
func database(t testing.TB) *userstest.Postgres {
	t.Helper()
	db := userstest.StartPostgres(t)
	db.Do(t, "create table users (id bigint, email text, password_hash text, disabled boolean, claims jsonb)")
	insert := func(values string, args ...any) {
		db.Do(t, "insert into users values ("+fmt.Sprintf(values, args...)+")")
	}
	insert(`1, 'Anna@example.com', '%s', false, '{"roles": ["a"], "n": 12345678901234567890}'`, fastHash(t, "right"))
	insert(`2, 'off@example.com', '%s', true, '{}'`, fastHash(t, "right"))
	insert(`3, 'bob@example.com', '%s', null, null`, bcryptHash(t, "right"))
	insert(`4, 'carol@example.com', null, false, null`)
	insert(`5, 'twice@example.com', '%s', false, null`, fastHash(t, "right"))
	insert(`6, 'Twice@example.com', '%s', false, null`, fastHash(t, "right"))
	return db
}

// source returns a source with that query.
func source(t testing.TB, url, query string, change ...func(*PostgresConfig)) *Postgres {
	t.Helper()
	cfg := PostgresConfig{Name: "db", URL: url, Query: query, Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	p, err := NewPostgres(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestPostgres(t *testing.T) {
	db := database(t)
	t.Run("contract", func(t *testing.T) { testPostgresLogin(t, db) })
	t.Run("columns", func(t *testing.T) { testPostgresColumns(t, db) })
	t.Run("names", func(t *testing.T) { testPostgresNames(t, db) })
	t.Run("timeout", func(t *testing.T) { testPostgresTimeout(t, db) })
	t.Run("parallel", func(t *testing.T) { testPostgresParallel(t, db) })
	t.Run("age", func(t *testing.T) { testPostgresAge(t, db) })
	t.Run("close", func(t *testing.T) { testPostgresClose(t, db) })
	t.Run("restart", func(t *testing.T) { testPostgresRestart(t, db) })
}

func testPostgresLogin(t *testing.T, db *userstest.Postgres) {
	d, computed := counting(t, source(t, db.URL(), contractQuery))
	u, err := d.Login(t.Context(), "anna@example.com", "right")
	if err != nil || u.ID != "1" || u.Email != "Anna@example.com" || u.Username != "anna@example.com" || u.Source != "db" ||
		string(u.Claims["n"]) != "12345678901234567890" || string(u.Claims["roles"]) != `["a"]` {
		t.Errorf("the user is %+v, %v", u, err)
	}
	if u, err := d.Login(t.Context(), "bob@example.com", "right"); err != nil || u.ID != "3" || len(u.Claims) > 0 {
		t.Errorf("the user is %+v, %v", u, err)
	}
	for name, password := range map[string]string{
		"anna@example.com": "wrong", "off@example.com": "right", "carol@example.com": "right", "nobody@example.com": "right",
	} {
		*computed = nil
		if u, err := d.Login(t.Context(), name, password); !errors.Is(err, token.ErrLogin) || len(*computed) != 1 {
			t.Errorf("%s: %+v, %v, %d hashes", name, u, err, len(*computed))
		}
	}
	if _, err := d.Login(t.Context(), "twice@example.com", "right"); err == nil || errors.Is(err, token.ErrLogin) ||
		!strings.Contains(err.Error(), "returned 2 users for one name") {
		t.Errorf("two users of one name: %v", err)
	}
	s := token.Session{Source: "db", Username: "anna@example.com", Subject: "1"}
	db.Do(t, `update users set claims = '{"roles": []}' where id = 1`)
	if u, err := d.Reread(t.Context(), s); err != nil || string(u.Claims["roles"]) != "[]" {
		t.Errorf("after a change the user is %+v, %v", u, err)
	}
	db.Do(t, "update users set disabled = true where id = 1")
	if _, err := d.Reread(t.Context(), s); !errors.Is(err, token.ErrLogin) {
		t.Errorf("a disabled user: %v", err)
	}
	db.Do(t, "update users set disabled = false where id = 1")
}

func testPostgresColumns(t *testing.T, db *userstest.Postgres) {
	hash := fastHash(t, "right")
	for _, c := range []struct{ columns, want, err string }{
		{"'u-1' as id, 'H' as password_hash", `u-1 "" false []`, ""},
		{`gen_random_uuid() as "ID", 'H' as "Password_Hash"`, "", ""},
		{"1 as id, 'H' as password_hash, 'e@x'::varchar as email, 't'::bool as disabled", `1 "e@x" true []`, ""},
		{"1 as id, 'H' as password_hash, 1 as disabled", `1 "" true []`, ""},
		{`1 as id, 'H' as password_hash, '{"a": 1.0}'::json as claims`, `1 "" false [1.0]`, ""},
		{`1 as id, 'H' as password_hash, '{"a": 1.0}'::text as claims`, `1 "" false [1.0]`, ""},
		{`1 as id, 'H' as password_hash, '{"a": 1.0}'::jsonb as claims, now() as created`, `1 "" false [1.0]`, ""},
		{"1 as id, 'H' as password_hash, null as email, null as disabled, null as claims", `1 "" false []`, ""},
		{"1 as id, null as password_hash", `1 "" false []`, ""},
		{"null as id, 'H' as password_hash", "", "the id is empty"},
		{"'' as id, 'H' as password_hash", "", "the id is empty"},
		{"1 as id", "", "returns no column password_hash"},
		{"'H' as password_hash", "", "returns no column id"},
		{"1 as id, 2 as id, 'H' as password_hash", "", "the column id twice"},
		{"1 as id, 'H' as password_hash, 'often' as disabled", "", "column disabled is no boolean"},
		{"1 as id, 'H' as password_hash, '[1]'::jsonb as claims", "", "column claims is no JSON object"},
		{`1 as id, 'H' as password_hash, '{"a":1,"a":2}' as claims`, "", "column claims is no JSON object"},
		{"1 as id, repeat('x', 2000000) as password_hash", "", "at most 1048576"},
		{"id", "", "SQLSTATE 42703"},
	} {
		p := source(t, db.URL(), "select "+strings.ReplaceAll(c.columns, "'H'", "'"+hash+"'")+" where $1 <> ''")
		d, _ := counting(t, p)
		r, err := d.ask(t.Context(), p, "anna", "x")
		var claims []string
		for _, v := range r.Claims {
			claims = append(claims, string(v))
		}
		got := fmt.Sprintf("%s %q %t %v", r.ID, r.Email, r.Disabled, claims)
		if c.err == "" && (err != nil || c.want != "" && got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %s, %v; want %s, %q", c.columns, got, err, c.want, c.err)
		}
	}
	// A query that is wrong shows although there is no such user.
	p := source(t, db.URL(), "select id from users where email = $1")
	if _, err := p.find(t.Context(), "nobody"); err == nil || errors.Is(err, errUnknown) {
		t.Errorf("a query without the hash: %v", err)
	}
	var log bytes.Buffer
	p = source(t, db.URL(), "select *, 1 as is_disabled from users where lower(email) = $1", func(c *PostgresConfig) {
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	for range 2 {
		if _, err := p.find(t.Context(), "bob@example.com"); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(log.String(), "is_disabled"); n != 1 {
		t.Errorf("a column without effect is logged %d times: %s", n, &log)
	}
}

// What a name says is never read as SQL.
func testPostgresNames(t *testing.T, db *userstest.Postgres) {
	p := source(t, db.URL(), contractQuery)
	for _, name := range []string{"' or '1'='1", "x'; drop table users; --", `\`, "%", "$1", "anna@example.com'--"} {
		if r, err := p.find(t.Context(), name); !errors.Is(err, errUnknown) {
			t.Errorf("%q is %+v, %v", name, r, err)
		}
	}
	if n := db.Do(t, "select count(*) from users"); n != "6" {
		t.Errorf("there are %s users", n)
	}
	// What the database could not take is nobody, and is not sent.
	d, _ := counting(t, p)
	for _, name := range []string{"a\x00b", "a\xff", ""} {
		if _, err := d.Login(t.Context(), name, "x"); !errors.Is(err, token.ErrLogin) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func testPostgresTimeout(t *testing.T, db *userstest.Postgres) {
	p := source(t, db.URL(), "select $1 as id, '' as password_hash, pg_sleep(60)", func(c *PostgresConfig) {
		c.Timeout, c.MaxConnections = 100*time.Millisecond, 1
	})
	began := time.Now()
	_, err := p.find(t.Context(), "anna")
	if err == nil || !strings.Contains(err.Error(), "SQLSTATE 57014") || errors.Is(err, errUnknown) {
		t.Errorf("the error is %v, want that of the server", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	// Who waits for the connection does not wait for ever either.
	if c := <-p.pool.slots; c == nil || c.IsClosed() {
		t.Error("it has cost the connection")
	}
	if _, err := p.find(t.Context(), "anna"); err == nil || errors.Is(err, errUnknown) {
		t.Errorf("without a connection: %v", err)
	}
	p.pool.slots <- nil
	const running = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()"
	if n := db.Do(t, running); n != "0" {
		t.Errorf("%s queries run on", n)
	}
}

func testPostgresParallel(t *testing.T, db *userstest.Postgres) {
	p := source(t, db.URL()+"&application_name=parallel", contractQuery, func(c *PostgresConfig) { c.MaxConnections = 3 })
	names := map[string]string{"anna@example.com": "1", "off@example.com": "2", "bob@example.com": "3"}
	var wg sync.WaitGroup
	for range 20 {
		for name, id := range names {
			wg.Go(func() {
				if r, err := p.find(t.Context(), name); err != nil || r.ID != id {
					t.Errorf("%s is %+v, %v", name, r, err)
				}
			})
		}
	}
	wg.Wait()
	if n := db.Do(t, "select count(*) from pg_stat_activity where application_name = 'parallel'"); n != "3" {
		t.Errorf("there are %s connections, want 3", n)
	}
}

func testPostgresClose(t *testing.T, db *userstest.Postgres) {
	p := source(t, db.URL()+"&application_name=close", contractQuery)
	const open = "select count(*) from pg_stat_activity where application_name = 'close'"
	ask := func() {
		t.Helper()
		if _, err := p.find(t.Context(), "bob@example.com"); err != nil {
			t.Error(err)
		}
	}
	gone := func() {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); db.Do(t, open) != "0"; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("a connection stays open")
			}
		}
	}
	ask()
	if n := db.Do(t, open); n != "1" {
		t.Fatalf("there are %s connections", n)
	}
	p.Close()
	gone()
	ask() // of a request that began before
	gone()
	p.Close()
}

func testPostgresRestart(t *testing.T, db *userstest.Postgres) {
	p := source(t, db.URL(), contractQuery, func(c *PostgresConfig) { c.MaxConnections = 2 })
	d, _ := counting(t, p)
	login := func() error {
		_, err := d.Login(t.Context(), "bob@example.com", "right")
		return err
	}
	for range 2 {
		if err := login(); err != nil {
			t.Fatal(err)
		}
	}
	db.Kill()
	for range 3 {
		if err := login(); err == nil || errors.Is(err, token.ErrLogin) {
			t.Errorf("without a server: %v", err)
		}
	}
	db.Start(t)
	for range 3 {
		if err := login(); err != nil {
			t.Errorf("with the server back: %v", err)
		}
	}
	// A server that was restarted between two logins is none of their business.
	db.Kill()
	db.Start(t)
	for range 3 {
		if err := login(); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	}
}

// A database that is down keeps nothing from starting.
func TestPostgresConnectsLate(t *testing.T) {
	p := source(t, "postgres://u:pass-word@127.0.0.1:1/db?sslmode=disable", contractQuery)
	_, err := p.find(t.Context(), "anna")
	if err == nil || errors.Is(err, errUnknown) || strings.Contains(err.Error(), "pass-word") {
		t.Errorf("the error is %v", err)
	}
}

func testPostgresAge(t *testing.T, db *userstest.Postgres) {
	p := source(t, db.URL(), "select 1 as id, pg_backend_pid()::text as password_hash where $1 <> ''", func(c *PostgresConfig) { c.MaxConnections = 1 })
	pid := func() string {
		t.Helper()
		r, err := p.find(t.Context(), "anna")
		if err != nil {
			t.Fatal(err)
		}
		return r.PasswordHash
	}
	first := pid()
	if pid() != first {
		t.Error("a connection is used once")
	}
	c := <-p.pool.slots
	c.made = c.made.Add(-2 * maxIdle)
	p.pool.slots <- c
	for range 2 {
		if pid() != first {
			t.Error("a connection that is in use all the time counts as idle")
		}
	}
	for name, age := range map[string]func(*connection){
		"idle": func(c *connection) { c.used = c.used.Add(-maxIdle) },
		"old":  func(c *connection) { c.made = c.made.Add(-maxLife) },
	} {
		before := pid()
		c := <-p.pool.slots
		age(c)
		p.pool.slots <- c
		if pid() == before {
			t.Errorf("an %s connection is used again", name)
		}
		if !c.IsClosed() {
			t.Errorf("an %s connection stays open", name)
		}
	}
}

func TestNewPostgres(t *testing.T) {
	good := PostgresConfig{Name: "db", URL: "postgres://u:p@h/d", Query: contractQuery, Timeout: time.Second, Log: slog.New(slog.DiscardHandler)}
	for name, change := range map[string]func(*PostgresConfig){
		"":           func(*PostgresConfig) {},
		"no name":    func(c *PostgresConfig) { c.Name = "" },
		"no log":     func(c *PostgresConfig) { c.Log = nil },
		"no timeout": func(c *PostgresConfig) { c.Timeout = 0 },
		"no query":   func(c *PostgresConfig) { c.Query = "" },
		"no $1":      func(c *PostgresConfig) { c.Query = "select * from users" },
		"no URL":     func(c *PostgresConfig) { c.URL = "" },
		"other URL":  func(c *PostgresConfig) { c.URL = "mysql://u:p@h/d" },
		"negative":   func(c *PostgresConfig) { c.MaxConnections = -1 },
		"no parse":   func(c *PostgresConfig) { c.URL = "postgres://u:se@cr%zzet@h:port/d" },
	} {
		cfg := good
		change(&cfg)
		p, err := NewPostgres(cfg)
		if (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "cr%") || strings.Contains(err.Error(), "zzet")) {
			t.Errorf("%q: the error shows the URL: %v", name, err)
		}
		if name == "" && (cap(p.pool.slots) != 4 || p.pool.config.RuntimeParams["statement_timeout"] != "1000") {
			t.Errorf("%d connections, %v", cap(p.pool.slots), p.pool.config.RuntimeParams)
		}
	}
}
