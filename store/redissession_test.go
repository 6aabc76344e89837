package store_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/auth/token"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

const (
	ringsKey  = "gatehouse:{keys}:ring:main"
	limitsKey = "gatehouse:{login}:limit:a"
)

// sessionKeys returns the keys of a session and of the list that it is in.
func sessionKeys(t testing.TB, server *storetest.Redis, sid string) (session, subject string) {
	t.Helper()
	for _, key := range strings.Split(server.Do(t, "KEYS", "gatehouse:{s*"), "\n") {
		if strings.HasSuffix(key, ":session:"+sid) {
			session = key
		} else if strings.Contains(key, ":subject:") {
			subject = key
		}
	}
	if slot, _, _ := strings.Cut(session, "}"); session == "" || !strings.HasPrefix(subject, slot+"}") {
		t.Fatalf("the session is at %q, the list at %q", session, subject)
	}
	return session, subject
}

func put(t testing.TB, s *store.Store, session token.Session) {
	t.Helper()
	if err := s.PutSession(t.Context(), session, storetest.RefreshToken(session.ID, 0)); err != nil {
		t.Fatal(err)
	}
}

func rotated(ctx context.Context, s *store.Store, sid string, n int) error {
	result, _, err := s.RotateSession(ctx, sid, storetest.Rotation(sid, n))
	if err == nil && result != token.Rotated {
		err = errors.New("the result is " + strconv.Itoa(int(result)))
	}
	return err
}

// tokenOperations are the token service's, on a session, by their names in
// Operations.
func tokenOperations(s *store.Store, session token.Session) map[string]func(context.Context) error {
	limits := []token.Limit{{Key: "a", Max: 9, Window: time.Minute}}
	return map[string]func(context.Context) error{
		"session_put": func(ctx context.Context) error {
			return s.PutSession(ctx, session, storetest.RefreshToken(session.ID, 0))
		},
		"session":        func(ctx context.Context) error { _, err := s.Session(ctx, session.ID); return err },
		"session_rotate": func(ctx context.Context) error { return rotated(ctx, s, session.ID, 0) },
		"session_end":    func(ctx context.Context) error { return s.EndSession(ctx, session.ID) },
		"sessions": func(ctx context.Context) error {
			_, err := s.Sessions(ctx, session.Issuer, session.Subject)
			return err
		},
		"login_take":   func(ctx context.Context) error { _, err := s.Take(ctx, limits); return err },
		"login_return": func(ctx context.Context) error { return s.Return(ctx, limits) },
		"keyring":      func(ctx context.Context) error { _, _, err := s.Keyring(ctx, "main"); return err },
		"keyring_put":  func(ctx context.Context) error { return s.PutKeyring(ctx, "main", []byte("ring"), 0) },
	}
}

// TestR10SessionsGo: sessions, their place in the list, and the list itself
// have an expiry, whatever is done with them.
func TestR10SessionsGo(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	session := storetest.Login("alice")
	expires := func(key string, end time.Time) {
		t.Helper()
		ms, _ := strconv.ParseInt(server.Do(t, "PEXPIRETIME", key), 10, 64)
		if after := time.UnixMilli(ms).Sub(end); after < time.Minute || after > time.Hour {
			t.Errorf("%s goes %s after the end", key, after)
		}
	}
	put(t, s, session)
	key, list := sessionKeys(t, server, session.ID)
	expires(key, session.Expires)
	expires(list, session.Expires)
	r := storetest.Rotation(session.ID, 0)
	r.Expires = session.Expires.Add(24 * time.Hour)
	if _, _, err := s.RotateSession(t.Context(), session.ID, r); err != nil {
		t.Fatal(err)
	}
	expires(key, r.Expires)
	expires(list, r.Expires)
	// One that ends earlier does not shorten the list's life.
	second := storetest.Login("alice")
	put(t, s, second)
	expires(list, r.Expires)

	ago := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(-d).UnixMilli(), 10) }
	server.Do(t, "ZADD", list, ago(time.Hour), "long over", ago(time.Second), "just over")
	put(t, s, second)
	if got := server.Do(t, "ZRANGE", list, "0", "-1"); got != "just over\n"+second.ID+"\n"+session.ID {
		t.Errorf("the list: %q", got)
	}
	for _, id := range []string{session.ID, second.ID} {
		if err := s.EndSession(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	server.Do(t, "ZREM", list, "just over")
	if left := server.Do(t, "KEYS", "*"); left != "" {
		t.Errorf("left: %q", left)
	}
}

// TestR10LimitsGo: a limit has an expiry, also after an attempt was taken back.
func TestR10LimitsGo(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	limits := []token.Limit{{Key: "a", Max: 3, Window: time.Minute}}
	for i, c := range []struct {
		do   func() error
		want string // attempts; empty: no key
	}{
		{func() error { return s.Return(t.Context(), limits) }, ""},
		{func() error { _, err := s.Take(t.Context(), limits); return err }, "1"},
		{func() error { _, err := s.Take(t.Context(), limits); return err }, "2"},
		{func() error { return s.Return(t.Context(), limits) }, "1"},
		{func() error { return s.Return(t.Context(), limits) }, ""},
		{func() error { return s.Return(t.Context(), limits) }, ""},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		count, _, _ := strings.Cut(server.Do(t, "GET", limitsKey), " ")
		ttl, _ := strconv.Atoi(server.Do(t, "PTTL", limitsKey))
		if count != c.want || c.want != "" && (ttl <= 0 || ttl > 60_000) || c.want == "" && ttl != -2 {
			t.Errorf("step %d: %q attempts, which go in %d ms; want %q", i, count, ttl, c.want)
		}
	}
}

// TestR04LostReplies: what was done and not heard of is done again, to the same
// effect.
func TestR04LostReplies(t *testing.T) {
	server := storetest.StartRedis(t)
	proxy := newLossy(t, server.Addr)
	s := open(t, store.Config{URL: "redis://" + proxy.addr})
	session := storetest.Login("alice")
	operations := tokenOperations(s, session)
	for _, c := range []struct{ operation, word string }{
		{"session_put", session.ID},
		{"session_rotate", session.ID},
		{"keyring_put", ringsKey},
		{"session_end", session.ID},
	} {
		do := operations[c.operation]
		proxy.word.Store(&c.word)
		wantUnavailable(t, do(t.Context()), "")
		for range 2 {
			if err := do(t.Context()); err != nil {
				t.Errorf("%s, repeated: %v", c.operation, err)
			}
		}
	}
	if _, version, err := s.Keyring(t.Context(), "main"); version != 1 || err != nil {
		t.Errorf("the key ring has version %d: %v", version, err)
	}
}

// TestR14UnreadableRecords: what cannot be read is an error, never none.
func TestR14UnreadableRecords(t *testing.T) {
	server := storetest.StartRedis(t)
	session := storetest.Login("alice")
	for name, c := range map[string]struct {
		damage     []string // KEY stands for the session
		operations string   // that meet it
		saying     string   // empty: that it cannot be read
	}{
		"no record":         {[]string{"HDEL", "KEY", "record"}, "session sessions", ""},
		"record":            {[]string{"HSET", "KEY", "record", "{"}, "session sessions", ""},
		"empty record":      {[]string{"HSET", "KEY", "record", "{}"}, "session sessions", ""},
		"another's record":  {[]string{"HSET", "KEY", "record", `{"id":"x","issuer":"main","sub":"bob"}`}, "session sessions", "another session"},
		"no family":         {[]string{"HDEL", "KEY", "family"}, "session sessions session_rotate", ""},
		"family":            {[]string{"HSET", "KEY", "family", "00"}, "session sessions", ""},
		"no current":        {[]string{"HDEL", "KEY", "current"}, "session sessions session_rotate", ""},
		"current":           {[]string{"HSET", "KEY", "current", "x"}, "session sessions", ""},
		"no end":            {[]string{"HDEL", "KEY", "expires"}, "session sessions session_rotate", ""},
		"end":               {[]string{"HSET", "KEY", "expires", "soon"}, "session sessions session_rotate", ""},
		"no refreshed":      {[]string{"HDEL", "KEY", "refreshed"}, "session sessions", ""},
		"no list":           {[]string{"HDEL", "KEY", "index"}, "session_rotate", ""},
		"past":              {[]string{"HSET", "KEY", "past", "00 00 1\nx"}, "session_rotate", ""},
		"only the end":      {[]string{"EVAL", "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'expires', 1e15)", "1", "KEY"}, "session sessions session_rotate", ""},
		"another type":      {[]string{"SET", "KEY", "x"}, "session sessions session_rotate session_end", "WRONGTYPE"},
		"limit":             {[]string{"SET", limitsKey, "1"}, "login_take login_return", ""},
		"key ring":          {[]string{"HSET", ringsKey, "data", "x"}, "keyring keyring_put", ""},
		"key ring's data":   {[]string{"HSET", ringsKey, "version", "1"}, "keyring keyring_put", ""},
		"version":           {[]string{"HSET", ringsKey, "version", "x", "data", "x"}, "keyring", ""},
		"version of none":   {[]string{"HSET", ringsKey, "version", "0", "data", "x"}, "keyring", ""},
		"key ring of a set": {[]string{"SADD", ringsKey, "x"}, "keyring keyring_put", "WRONGTYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			server.Do(t, "FLUSHALL")
			s := open(t, store.Config{URL: server.URL()})
			put(t, s, session)
			key, _ := sessionKeys(t, server, session.ID)
			for i, word := range c.damage {
				if word == "KEY" {
					c.damage[i] = key
				}
			}
			server.Do(t, c.damage...)
			for operation, do := range tokenOperations(s, session) {
				if strings.Contains(" "+c.operations+" ", " "+operation+" ") {
					wantUnavailable(t, do(t.Context()), cmp.Or(c.saying, "cannot be read"))
				}
			}
		})
	}
	// An entry of the list whose session is gone is none.
	server.Do(t, "FLUSHALL")
	s := open(t, store.Config{URL: server.URL()})
	put(t, s, session)
	key, _ := sessionKeys(t, server, session.ID)
	server.Do(t, "DEL", key)
	if list, err := s.Sessions(t.Context(), "main", "alice"); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
}

// TestR15SessionsWait: what a session or a key ring depends on is acknowledged
// when replicas have it, also when it is repeated on a connection that wrote
// nothing before. Logins are counted without.
func TestR15SessionsWait(t *testing.T) {
	server := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	_, port, _ := net.SplitHostPort(server.Addr)
	replica := storetest.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	connect := func() *store.Store {
		return open(t, store.Config{URL: server.URL(), WaitReplicas: 1, WaitTimeout: 100 * time.Millisecond})
	}
	s, session := connect(), storetest.Login("alice")
	storetest.Until(t, "a replica acknowledges", func() bool {
		return s.PutSession(t.Context(), session, storetest.RefreshToken(session.ID, 0)) == nil
	})
	key, _ := sessionKeys(t, server, session.ID)
	if n := replica.Do(t, "EXISTS", key); n != "1" {
		t.Error("the replica has no session")
	}
	replica.Signal(t, syscall.SIGSTOP)
	defer replica.Signal(t, syscall.SIGCONT)
	for _, operation := range []string{"session_put", "session_rotate", "keyring_put", "session_end"} {
		for range 2 {
			wantUnavailable(t, tokenOperations(connect(), session)[operation](t.Context()), "0 of 1 replicas")
		}
	}
	put(t, open(t, store.Config{URL: server.URL()}), session)
	// Again, and with another successor: repeated, then replayed.
	for i := range 3 {
		for range 2 {
			r := storetest.Rotation(session.ID, 0)
			if r.Next[0] ^= byte(i); i == 2 {
				r.Presented = storetest.RefreshToken(session.ID, 7)
			}
			_, _, err := connect().RotateSession(t.Context(), session.ID, r)
			wantUnavailable(t, err, "0 of 1 replicas")
		}
	}
	for _, operation := range []string{"session", "sessions", "login_take", "login_return", "keyring"} {
		if err := tokenOperations(connect(), session)[operation](t.Context()); err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// TestR12SessionsDown: a store that is down, or hangs, is an error within the
// timeout.
func TestR12SessionsDown(t *testing.T) {
	const timeout = 100 * time.Millisecond
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL(), Timeout: timeout})
	session := storetest.Login("alice")
	storetest.Until(t, "the store is there", func() bool {
		return s.PutSession(t.Context(), session, storetest.RefreshToken(session.ID, 0)) == nil
	})
	fails := func() {
		t.Helper()
		for operation, do := range tokenOperations(s, session) {
			began := time.Now()
			if err := do(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, token.ErrNoSession) {
				t.Errorf("%s: got %v, want ErrUnavailable", operation, err)
			}
			if took := time.Since(began); took > 4*timeout {
				t.Errorf("%s took %s", operation, took)
			}
		}
	}
	server.Signal(t, syscall.SIGSTOP)
	fails()
	server.Signal(t, syscall.SIGCONT)
	server.Kill()
	fails()
	server.Start(t)
	storetest.Until(t, "the store is back", func() bool { return s.Ping(t.Context()) == nil })
	if _, err := s.Session(t.Context(), session.ID); !errors.Is(err, token.ErrNoSession) {
		t.Errorf("after a restart without data: %v", err)
	}
}

// TestSessionsTheLast: of too many sessions those that end last are listed.
func TestSessionsTheLast(t *testing.T) {
	server := storetest.StartRedis(t)
	s := open(t, store.Config{URL: server.URL()})
	session := storetest.Login("alice")
	put(t, s, session)
	_, list := sessionKeys(t, server, session.ID)
	server.Do(t, "EVAL", "for i = 1, 1000 do redis.call('ZADD', KEYS[1], ARGV[1] - i, i) end", "1", list,
		strconv.FormatInt(session.Expires.UnixMilli(), 10))
	if got, err := s.Sessions(t.Context(), "main", "alice"); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

// BenchmarkRotate is what a refresh writes.
func BenchmarkRotate(b *testing.B) {
	s := open(b, store.Config{URL: storetest.StartRedis(b).URL()})
	session := storetest.Login("alice")
	put(b, s, session)
	for n := 0; b.Loop(); n++ {
		if err := rotated(b.Context(), s, session.ID, n); err != nil {
			b.Fatal(err)
		}
	}
}
