package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/store"
	"gatehouse/store/storetest"
	"gatehouse/test/loopback"
)

const (
	streamKey  = "gatehouse:{0}:stream"
	entriesKey = "gatehouse:{0}:revocations"
)

func revoke(t testing.TB, s *store.Store, id string) {
	t.Helper()
	if err := s.Revoke(t.Context(), storetest.Session(id)); err != nil {
		t.Fatal(err)
	}
}

func wantUnavailable(t testing.TB, err error, saying string) {
	t.Helper()
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), saying) {
		t.Errorf("got %v, want ErrUnavailable saying %q", err, saying)
	}
}

// lossy passes bytes on between a client and a server, except that it closes
// the connection instead of passing on the reply to the next command that
// holds a word.
type lossy struct {
	addr   string
	server atomic.Pointer[string]
	word   atomic.Pointer[string]
}

func newLossy(t testing.TB, server string) *lossy {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p := &lossy{addr: ln.Addr().String()}
	p.server.Store(&server)
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go p.pass(client, *p.server.Load())
		}
	}()
	return p
}

func (p *lossy) pass(client net.Conn, server string) {
	defer client.Close()
	up, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer up.Close()
	var drop atomic.Bool
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := client.Read(b)
			if w := p.word.Load(); w != nil && strings.Contains(string(b[:n]), *w) {
				p.word.Store(nil)
				drop.Store(true)
			}
			if _, werr := up.Write(b[:n]); err != nil || werr != nil {
				up.Close()
				return
			}
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := up.Read(b)
		if err != nil || drop.Load() {
			return
		}
		if _, err := client.Write(b[:n]); err != nil {
			return
		}
	}
}

func TestR04LostReply(t *testing.T) {
	server := storetest.StartRedis(t)
	proxy := newLossy(t, server.Addr)
	s := open(t, store.Config{URL: "redis://" + proxy.addr})
	word := "lost-reply"
	proxy.word.Store(&word)
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session(word)), "")
	storetest.Until(t, "the server ran the command", func() bool { return server.Do(t, "XLEN", streamKey) == "1" })
	if got := storetest.Revocations(t, s); len(got) != 1 || got[0].ID != word {
		t.Fatalf("after the lost reply: %v", got)
	}
	revoke(t, s, word)
	if got := storetest.Revocations(t, s); len(got) != 1 {
		t.Errorf("after the retry: %v", got)
	}
}

// TestR11Acknowledged: nil only when the server has done it, and why when it
// has not.
func TestR11Acknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string // of the server
		setUp [][]string
		user  string
		want  string
	}{
		"NOAUTH":     {args: []string{"--requirepass", "right"}, want: "needs a user and password"},
		"WRONGPASS":  {args: []string{"--requirepass", "right"}, user: ":seCret@", want: "user or password in store.url is wrong"},
		"OOM":        {args: []string{"--maxmemory", "1"}, want: "memory is full"},
		"READONLY":   {args: []string{"--replicaof", "127.0.0.1 1"}, want: "is a replica"},
		"NOREPLICAS": {args: []string{"--min-replicas-to-write", "1"}, want: "too few replicas"},
		"NOPERM": {
			setUp: [][]string{{"ACL", "SETUSER", "weak", "on", ">seCret", "~*", "+@all", "-eval"}},
			user:  "weak:seCret@", want: "lacks a right",
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := storetest.StartRedis(t, c.args...)
			for _, command := range c.setUp {
				server.Do(t, command...)
			}
			var observed error
			s := open(t, store.Config{URL: "redis://" + c.user + server.Addr, Observe: func(operation string, _ time.Duration, err error) {
				if operation == "revoke" {
					observed = err
				}
			}})
			err := s.Revoke(t.Context(), storetest.Session("s"))
			wantUnavailable(t, err, c.want)
			if !errors.Is(observed, store.ErrUnavailable) {
				t.Errorf("observed: %v", observed)
			}
			if strings.Contains(fmt.Sprint(err), "seCret") {
				t.Error("the error tells the password")
			}
		})
	}
	t.Run("down and up", func(t *testing.T) {
		server := storetest.StartRedis(t)
		s := open(t, store.Config{URL: server.URL()})
		revoke(t, s, "a")
		server.Kill()
		wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("b")), "")
		wantUnavailable(t, s.Ping(t.Context()), "")
		_, err := s.APIKeys(t.Context())
		wantUnavailable(t, err, "")
		server.Start(t)
		revoke(t, s, "c")
	})
}

// TestR13Hang: a server that takes connections and says nothing, or takes
// none, costs a timeout and no more.
func TestR13Hang(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	const timeout = 100 * time.Millisecond
	for name, addr := range map[string]string{"silent": silent.Addr().String(), "closed": loopback.Address()} {
		t.Run(name, func(t *testing.T) {
			s := open(t, store.Config{URL: "redis://" + addr, Timeout: timeout})
			for what, call := range map[string]func() error{
				"revoke":   func() error { return s.Revoke(t.Context(), storetest.Session("s")) },
				"ping":     func() error { return s.Ping(t.Context()) },
				"snapshot": func() error { _, err := s.Sources()[0].Snapshot(t.Context(), nil); return err },
				"follow":   func() error { return s.Sources()[0].Follow(t.Context(), "epoch run 1-1", nil) },
			} {
				began := time.Now()
				wantUnavailable(t, call(), "")
				// A follower waits half a second for something to come; a
				// snapshot begins with two questions.
				if took := time.Since(began); took > 500*time.Millisecond+3*timeout {
					t.Errorf("%s took %s", what, took)
				}
			}
		})
	}
	t.Run("stopped under way", func(t *testing.T) {
		server := storetest.StartRedis(t)
		s := open(t, store.Config{URL: server.URL(), Timeout: timeout})
		revoke(t, s, "a")
		patient := open(t, store.Config{URL: server.URL(), Timeout: time.Minute})
		revoke(t, patient, "a")
		server.Signal(t, syscall.SIGSTOP)
		defer server.Signal(t, syscall.SIGCONT)
		began := time.Now()
		wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("b")), "")
		if took := time.Since(began); took > 4*timeout {
			t.Errorf("revoke took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		began = time.Now()
		wantUnavailable(t, patient.Revoke(ctx, storetest.Session("b")), "")
		if took := time.Since(began); took > 10*timeout {
			t.Errorf("the caller's deadline was missed by %s", took)
		}
	})
}

// TestR14Unreadable: what cannot be read stops the reader.
func TestR14Unreadable(t *testing.T) {
	server := storetest.StartRedis(t)
	for name, command := range map[string][]string{
		"entry without a name": {"HSET", entriesKey, "x", "1 2"},
		"unknown kind":         {"HSET", entriesKey, "family 4 main a", "1 2"},
		"times":                {"HSET", entriesKey, "sid 4 main a", "1"},
		"times out of range":   {"HSET", entriesKey, "sid 4 main a", "1 4294967296"},
		"API key's hash":       {"HSET", "gatehouse:{0}:api_keys", "00", `{"id":"a"}`},
		"API key":              {"HSET", "gatehouse:{0}:api_keys", strings.Repeat("00", 32), `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			server.Do(t, "FLUSHALL")
			s := open(t, store.Config{URL: server.URL()})
			server.Do(t, command...)
			_, err := s.Sources()[0].Snapshot(t.Context(), func(revocation.Event) error { return nil })
			wantUnavailable(t, err, "cannot be read")
		})
	}
	t.Run("log", func(t *testing.T) {
		s := open(t, store.Config{URL: server.URL()})
		server.Do(t, "FLUSHALL")
		from := storetest.Position(t, s)
		server.Do(t, "XADD", streamKey, "*", "something", "else")
		err := s.Sources()[0].Follow(t.Context(), from, func(revocation.Event) error { return nil })
		wantUnavailable(t, err, "cannot be read")
	})
}

// TestR15Wait: with replicas asked for, a write is acknowledged when they have
// it. A repeated one waits again, though it changes nothing.
func TestR15Wait(t *testing.T) {
	server := storetest.StartRedis(t, "--repl-diskless-sync-delay", "0")
	s := open(t, store.Config{URL: server.URL(), WaitReplicas: 1, WaitTimeout: 100 * time.Millisecond})
	for range 2 {
		wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("s")), "0 of 1 replicas")
	}
	_, port, _ := net.SplitHostPort(server.Addr)
	replica := storetest.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	storetest.Until(t, "the replica is linked", func() bool {
		return strings.Contains(server.Do(t, "INFO", "replication"), "state=online")
	})
	storetest.Until(t, "a replica acknowledges", func() bool {
		return s.Revoke(t.Context(), storetest.Session("s")) == nil
	})
	if n := replica.Do(t, "HLEN", entriesKey); n != "1" {
		t.Errorf("the replica has %s entries", n)
	}
	replica.Signal(t, syscall.SIGSTOP)
	defer replica.Signal(t, syscall.SIGCONT)
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("s")), "0 of 1 replicas")
}

func TestR16Eviction(t *testing.T) {
	server := storetest.StartRedis(t)
	for policy, refused := range map[string]bool{
		"noeviction": false, "allkeys-lru": true, "allkeys-lfu": true, "allkeys-random": true,
		"volatile-lru": false, "volatile-ttl": false,
	} {
		server.Do(t, "CONFIG", "SET", "maxmemory-policy", policy)
		s, err := store.Open(t.Context(), store.Config{URL: server.URL()})
		if refused {
			wantUnavailable(t, err, "noeviction")
		} else if err != nil {
			t.Errorf("%s: %v", policy, err)
		}
		if s != nil {
			s.Close()
		}
	}
	// The volatile policies are harmless because nothing of the list expires.
	server.Do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
	s := open(t, store.Config{URL: server.URL()})
	revoke(t, s, "a")
	if err := s.PutAPIKey(t.Context(), auth.APIKey{ID: "app"}); err != nil {
		t.Fatal(err)
	}
	for _, key := range strings.Split(server.Do(t, "KEYS", "*"), "\n") {
		if ttl := server.Do(t, "TTL", key); ttl != "-1" {
			t.Errorf("%s expires in %s s", key, ttl)
		}
	}
	server.Do(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	_, err := s.Sources()[0].Snapshot(t.Context(), func(revocation.Event) error { return nil })
	wantUnavailable(t, err, "noeviction")
}

// TestR17Lost: a log that was lost, set back or trimmed too far is not
// followed on.
func TestR17Lost(t *testing.T) {
	server := storetest.StartRedis(t)
	for name, lose := range map[string]func(*testing.T, *store.Store){
		"flushed": func(t *testing.T, _ *store.Store) { server.Do(t, "FLUSHALL") },
		"flushed and written again": func(t *testing.T, s *store.Store) {
			server.Do(t, "FLUSHALL")
			revoke(t, s, "another")
		},
		"restarted empty": func(t *testing.T, _ *store.Store) { server.Kill(); server.Start(t) },
		"set back": func(t *testing.T, s *store.Store) {
			last := strings.Split(server.Do(t, "XREVRANGE", streamKey, "+", "-", "COUNT", "1"), "\n")[0]
			server.Do(t, "XDEL", streamKey, last)
			revoke(t, s, "another")
		},
		"trimmed": func(t *testing.T, s *store.Store) {
			revoke(t, s, "another")
			server.Do(t, "XTRIM", streamKey, "MAXLEN", "=", "1")
		},
		"another epoch": func(t *testing.T, _ *store.Store) { server.Do(t, "SET", "gatehouse:{0}:epoch", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, store.Config{URL: server.URL()})
			revoke(t, s, "a")
			from := storetest.Position(t, s)
			storetest.Collect(t, s, from, 0)
			lose(t, s)
			err := s.Sources()[0].Follow(t.Context(), from, func(e revocation.Event) error {
				if e.Op == revocation.Current {
					t.Error("a list with a hole is called current")
				}
				return nil
			})
			if !errors.Is(err, revocation.ErrGap) {
				t.Errorf("got %v, want ErrGap", err)
			}
			if storetest.Position(t, s) == from {
				t.Error("the new position is the old one")
			}
		})
	}
}

// TestStartWithoutRedis: a store that is down at first is no error, and a feed
// finds it when it comes.
func TestStartWithoutRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	server.Kill()
	s := open(t, store.Config{URL: server.URL()})
	m := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: 5 * time.Second})
	f, err := revocation.NewFeed(revocation.FeedConfig{
		Source: s.Sources()[0], Mirror: m, Keys: &auth.StoredAPIKeys{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	if m.Complete() {
		t.Error("complete without a store")
	}
	server.Start(t)
	storetest.Until(t, "the list is whole", m.Complete)
	revoke(t, s, "s")
	storetest.Until(t, "a revocation comes", func() bool {
		return m.Covers(auth.KindSession, storetest.Session("s").Key(), 0, time.Now().Unix()) == auth.Covered
	})
}

// failOn returns a log that fails the test when it is written to at a level.
func failOn(t *testing.T, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		t.Errorf("logged: %s", b)
		return io.Discard.Write(b)
	}), &slog.HandlerOptions{Level: level}))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
