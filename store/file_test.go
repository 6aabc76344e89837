package store_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/auth/token"
	"gatehouse/store"
	"gatehouse/store/storetest"
)

// shortDir returns a folder whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// ownerEnv makes the test binary own the file that it names and revoke one
// session after the other, saying so for each that was acknowledged; and for
// each begin another, whose id it says, and refresh it.
const ownerEnv = "GATEHOUSE_TEST_OWN_FILE"

func TestMain(m *testing.M) {
	if url := os.Getenv(ownerEnv); url != "" {
		s, err := store.Open(context.Background(), store.Config{URL: url, Own: true})
		for i := 0; err == nil; i++ {
			session := storetest.Login(fmt.Sprint(i))
			if err = s.Revoke(context.Background(), storetest.Session(fmt.Sprint(i))); err == nil {
				err = s.PutSession(context.Background(), session, storetest.RefreshToken(session.ID, 0))
			}
			if err == nil {
				err = rotated(context.Background(), s, session.ID, 0)
			}
			if err == nil {
				fmt.Println(i, session.ID)
			}
		}
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestR11Kill9: what was acknowledged is there after the owner was killed, and
// what it left behind hinders nobody.
func TestR11Kill9(t *testing.T) {
	path := filepath.Join(shortDir(t), "s.db")
	url := "file:" + path
	next := 0 // first that was not acknowledged
	var sessions []string
	for round := range 3 {
		owner := exec.Command(os.Args[0])
		owner.Env = append(os.Environ(), ownerEnv+"="+url)
		out, err := owner.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		acknowledged := 0
		for lines.Scan() {
			number, session, _ := strings.Cut(lines.Text(), " ")
			if number != fmt.Sprint(acknowledged) {
				t.Fatalf("the owner says %q", lines.Text())
			}
			sessions = append(sessions, session)
			if acknowledged++; acknowledged == 20+30*round {
				_ = owner.Process.Kill()
			}
		}
		_ = owner.Wait()
		next = max(next, acknowledged)

		if info, err := os.Stat(path + ".sock"); err != nil || info.Mode().Type() != os.ModeSocket {
			t.Errorf("the killed owner should have left its socket: %v", err)
		}
		s := open(t, store.Config{URL: url, Own: true})
		have := map[string]bool{}
		for _, r := range storetest.Revocations(t, s) {
			have[r.ID] = true
		}
		for i := range next {
			if !have[fmt.Sprint(i)] {
				t.Errorf("round %d: %d was acknowledged and is lost", round, i)
			}
		}
		for _, id := range sessions {
			if got, err := s.Session(t.Context(), id); err != nil || got.Refresh != storetest.RefreshToken(id, 1) {
				t.Errorf("round %d: a session whose refresh was acknowledged: %+v, %v", round, got, err)
			}
		}
		if err := open(t, store.Config{URL: url}).Ping(t.Context()); err != nil {
			t.Errorf("the new owner's socket: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFileReopened(t *testing.T) {
	url := "file:" + filepath.Join(shortDir(t), "s.db")
	s := open(t, store.Config{URL: url})
	revoke(t, s, "a")
	session := storetest.Login("alice")
	put(t, s, session)
	limits := []token.Limit{{Key: "a", Max: 1, Window: time.Minute}}
	if _, err := s.Take(t.Context(), limits); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rotated(t.Context(), s, session.ID, 0), s.PutKeyring(t.Context(), "main", []byte("ring"), 0)); err != nil {
		t.Fatal(err)
	}
	before := storetest.Position(t, s)
	wantUnavailable(t, s.Sources()[0].Follow(t.Context(), before, func(revocation.Event) error { return s.Close() }), "closed")
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("b")), "")
	_, err := s.APIKeys(t.Context())
	wantUnavailable(t, err, "")
	for operation, do := range tokenOperations(s, session) {
		if err := do(t.Context()); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, token.ErrNoSession) {
			t.Errorf("%s when closed: %v, want ErrUnavailable", operation, err)
		}
	}
	again := open(t, store.Config{URL: url})
	other := storetest.Rotation(session.ID, 0)
	other.Next = [32]byte{1}
	if result, salt, err := again.RotateSession(t.Context(), session.ID, other); result != token.RotationRepeated || salt != other.Salt || err != nil {
		t.Errorf("the session after reopening: result %d, %v", result, err)
	}
	if wait, err := again.Take(t.Context(), limits); wait == 0 || err != nil {
		t.Errorf("the limit after reopening: %v", err)
	}
	if ring, version, err := again.Keyring(t.Context(), "main"); string(ring) != "ring" || version != 1 || err != nil {
		t.Errorf("the key ring after reopening: %q of version %d, %v", ring, version, err)
	}
	if got := storetest.Revocations(t, again); len(got) != 1 || got[0].ID != "a" {
		t.Errorf("after reopening: %v", got)
	}
	err = again.Sources()[0].Follow(t.Context(), before, func(revocation.Event) error { return nil })
	if !errors.Is(err, revocation.ErrGap) {
		t.Errorf("a position from before: %v, want ErrGap", err)
	}
}

func TestFileModes(t *testing.T) {
	path := filepath.Join(shortDir(t), "s.db")
	open(t, store.Config{URL: "file:" + path, Own: true})
	for _, name := range []string{path, path + ".sock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
}

// TestOneOwner: a second owner waits for the first and gives up in the end.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	url := "file:" + filepath.Join(shortDir(t), "s.db")
	first := open(t, store.Config{URL: url, Own: true})
	_, err := store.Open(t.Context(), store.Config{URL: url, Own: true})
	if err == nil || !strings.Contains(err.Error(), "another process owns it") {
		t.Fatalf("a second owner: %v", err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := store.Open(t.Context(), store.Config{URL: url, Own: true})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Errorf("beside the first owner: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("after the first owner: %v", err)
	}
}

// TestUnreachableOwner: a process that has the file but not the socket.
func TestUnreachableOwner(t *testing.T) {
	t.Parallel()
	url := "file:" + filepath.Join(shortDir(t), "s.db")
	open(t, store.Config{URL: url})
	_, err := store.Open(t.Context(), store.Config{URL: url})
	if err == nil || !strings.Contains(err.Error(), "does not answer on") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Open(ctx, store.Config{URL: url}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestOwnerEnds: who works through an owner hears of its end, and is told what
// is current by its own clock and not for ever.
func TestOwnerEnds(t *testing.T) {
	url := "file:" + filepath.Join(shortDir(t), "s.db")
	owner := open(t, store.Config{URL: url, Own: true})
	s := open(t, store.Config{URL: url})
	closed := make(chan struct{})
	end := sync.OnceFunc(func() {
		go func() {
			defer close(closed)
			_ = owner.Close() // it waits for the follower, which is being told
		}()
	})
	err := s.Sources()[0].Follow(t.Context(), storetest.Position(t, s), func(e revocation.Event) error {
		if e.Op == revocation.Current {
			if d := time.Since(e.Time); d < 0 || d > time.Minute {
				t.Errorf("current as of %s ago", d)
			}
			end()
		}
		return nil
	})
	wantUnavailable(t, err, "")
	<-closed // until then the socket may still take a request, and say that it is ending
	wantUnavailable(t, s.Revoke(t.Context(), storetest.Session("s")), "does not answer")
}

// TestOwnerClosesQuickly: nobody who holds a connection holds up the end.
func TestOwnerClosesQuickly(t *testing.T) {
	path := filepath.Join(shortDir(t), "s.db")
	owner := open(t, store.Config{URL: "file:" + path, Own: true})
	conn, err := net.Dial("unix", path+".sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// One that came later was answered, so this one was taken too.
	if err := open(t, store.Config{URL: "file:" + path}).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := owner.Close(); err != nil || time.Since(began) > 2*time.Second {
		t.Errorf("closed after %s: %v", time.Since(began), err)
	}
}

func TestFileErrors(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	dir := shortDir(t)
	t.Run("no folder", func(t *testing.T) {
		_, err := store.Open(t.Context(), store.Config{URL: "file:" + dir + "/none/s.db", Own: true})
		if err == nil || !strings.Contains(err.Error(), "its folder exists") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not a store", func(t *testing.T) {
		path := dir + "/text"
		if err := os.WriteFile(path, bytes.Repeat([]byte("text "), 10000), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), store.Config{URL: "file:" + path}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("socket's path too long", func(t *testing.T) {
		log.Reset()
		s := open(t, store.Config{URL: "file:" + dir + "/" + strings.Repeat("x", 100), Own: true, Log: logger})
		revoke(t, s, "a")
		if !strings.Contains(log.String(), "too long") {
			t.Errorf("log: %s", log.String())
		}
	})
	t.Run("socket's name taken", func(t *testing.T) {
		log.Reset()
		path := dir + "/s.db"
		if err := os.WriteFile(path+".sock", []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, store.Config{URL: "file:" + path, Own: true, Log: logger})
		if b, err := os.ReadFile(path + ".sock"); string(b) != "mine" {
			t.Errorf("somebody's file is gone: %v", err)
		}
		if !strings.Contains(log.String(), "cannot reach") {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	for _, url := range []string{
		"", "file:", "file:///", "memory", "memory:x", "postgres://seCret@h", "redis:h", "gatehouse.db",
		"redis://:seCret@h:x", "redis://u:seCret@", "redis://u:se/Cret@h:1",
	} {
		s, err := store.Open(t.Context(), store.Config{URL: url})
		if err == nil {
			s.Close()
			t.Errorf("%q: no error", url)
		} else if strings.Contains(err.Error(), "Cret") || !strings.Contains(err.Error(), "store.url") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestObserve: operations are those that are announced, and errors those of
// the store.
func TestObserve(t *testing.T) {
	server := storetest.StartRedis(t)
	seen := map[string]int{}
	failed := 0
	s := open(t, store.Config{URL: server.URL(), Observe: func(operation string, _ time.Duration, err error) {
		seen[operation]++
		if err != nil {
			failed++
		}
	}})
	revoke(t, s, "s")
	storetest.Revocations(t, s)
	key := auth.APIKey{ID: "app"}
	if err := errors.Join(s.PutAPIKey(t.Context(), key), s.DeleteAPIKey(t.Context(), key.SHA256), s.Ping(t.Context()),
		s.Sources()[0].Restore(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.APIKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := storetest.Position(t, s)
	storetest.Collect(t, s, at, 0)
	if _, _, err := s.Sources()[0].Confirm(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if err := s.Sources()[0].Vouch(t.Context(), at, at); err != nil {
		t.Fatal(err)
	}
	operations := tokenOperations(s, storetest.Login("alice"))
	for _, operation := range []string{"session", "session_put", "keyring_put"} { // no such session, then one; a ring
		_ = operations[operation](t.Context())
	}
	for _, do := range operations { // a conflict among them
		_ = do(t.Context())
	}
	_ = s.Sources()[0].Follow(t.Context(), "gone 1-1", func(revocation.Event) error { return nil })
	_ = s.Revocations(t.Context(), func(_ auth.Revocation) error { return errors.New("the reader's") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = s.Ping(ctx)
	for _, operation := range store.Operations() {
		if seen[operation] == 0 {
			t.Errorf("%s was not observed", operation)
		}
		delete(seen, operation)
	}
	if len(seen) != 0 || failed != 0 {
		t.Errorf("not announced: %v; failures: %d", seen, failed)
	}
	server.Kill()
	_ = s.Ping(t.Context())
	_ = s.Sources()[0].Follow(t.Context(), "any run 1-1", func(revocation.Event) error { return nil })
	if failed != 2 {
		t.Errorf("%d of 2 failures were observed", failed)
	}
}
