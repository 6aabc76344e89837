package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth/token"
)

func memory(t *testing.T) *embedded {
	t.Helper()
	s, err := openMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

// count returns how many entries each of the buckets has.
func count(s *embedded, buckets ...[]byte) (n []int) {
	_ = s.db.View(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			i := 0
			_ = tx.Bucket(b).ForEach(func(_, _ []byte) error { i++; return nil })
			n = append(n, i)
		}
		return nil
	})
	return n
}

func loginAt(subject string, expires time.Time) token.Session {
	return token.Session{ID: token.NewSessionID("main", subject), Issuer: "main", Subject: subject, Expires: expires}
}

// TestEmbeddedTrimsSessions: each write takes out sessions that are long over,
// also those that nobody can read.
func TestEmbeddedTrimsSessions(t *testing.T) {
	s := memory(t)
	want := func(n int) {
		t.Helper()
		if got := count(s, bucketSessions, bucketSessionEnds, bucketSubjects); fmt.Sprint(got) != fmt.Sprint([]int{n, n, n}) {
			t.Errorf("%v sessions, ends and places in a list, want %d", got, n)
		}
	}
	now := time.Now()
	live := loginAt("alice", now.Add(time.Hour))
	r := token.RefreshHashes{Family: [32]byte{1}, Current: [32]byte{2}}
	if err := s.PutSession(t.Context(), live, r); err != nil {
		t.Fatal(err)
	}
	old := func(id string, n int) {
		t.Helper()
		err := s.db.Update(func(tx *bbolt.Tx) error {
			var err error
			for range n {
				x := loginAt("bob", now.Add(-time.Hour))
				x.ID += id
				err = errors.Join(err, writeSession(tx, &embeddedSession{recordOf(x), stateOf(x, r)}))
			}
			just := loginAt("bob", now.Add(-time.Minute))
			return errors.Join(err, writeSession(tx, &embeddedSession{recordOf(just), stateOf(just, r)}))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	old("", 150)
	want(152)
	if err := s.PutSession(t.Context(), live, r); err != nil {
		t.Fatal(err)
	}
	want(52) // 100 at a time
	result, _, err := s.RotateSession(t.Context(), live.ID, token.Rotation{Presented: r, Next: [32]byte{3}, Expires: now.Add(2 * time.Hour)})
	if result != token.Rotated || err != nil {
		t.Fatal(result, err)
	}
	want(2)
	err = s.db.Update(func(tx *bbolt.Tx) error {
		id := []byte("unreadable")
		return errors.Join(tx.Bucket(bucketSessions).Put(id, []byte("{")),
			tx.Bucket(bucketSessionEnds).Put(endKey(1, string(id)), nil))
	})
	if err := errors.Join(err, s.PutSession(t.Context(), live, r)); err != nil {
		t.Fatal(err)
	}
	want(2)
	if err := s.EndSession(t.Context(), live.ID); err != nil {
		t.Fatal(err)
	}
	want(1)
}

// TestEmbeddedTrimsLimits: each attempt takes out windows that are over.
func TestEmbeddedTrimsLimits(t *testing.T) {
	s := memory(t)
	now := time.Now().UnixMilli()
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
		for i := range 150 {
			err = errors.Join(err, writeLimit(tx, fmt.Sprint(i), limitCount{}, limitCount{1, now - 1}))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	limits := []token.Limit{{Key: "a", Max: 9, Window: time.Minute}, {Key: "b", Max: 9, Window: time.Minute}}
	for i, want := range []int{52, 2, 2, 2, 2, 0} {
		do := s.Return
		if i < 3 {
			do = func(ctx context.Context, l []token.Limit) error { _, err := s.Take(ctx, l); return err }
		}
		if err := do(t.Context(), limits); err != nil {
			t.Fatal(err)
		}
		if got := count(s, bucketLimits, bucketLimitEnds); got[0] != want || got[1] != want {
			t.Errorf("step %d: %v windows and ends, want %d", i, got, want)
		}
	}
}

// TestEmbeddedUnreadable: what cannot be read is an error, never none.
func TestEmbeddedUnreadable(t *testing.T) {
	s := memory(t)
	id := token.NewSessionID("main", "alice")
	for name, record := range map[string]string{
		"empty": "", "no JSON": "{", "no end": `{"id":"` + id + `"}`, "another's": `{"id":"x","expires":9999999999999}`,
		"hash": `{"id":"` + id + `","expires":9999999999999,"family":"00"}`,
	} {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			sum := token.SubjectHash("main", "alice")
			return errors.Join(
				tx.Bucket(bucketSessions).Put([]byte(id), []byte(record)),
				tx.Bucket(bucketSubjects).Put(append(sum[:], id...), nil),
				tx.Bucket(bucketLimits).Put([]byte("a"), []byte("1")),
				tx.Bucket(bucketRings).Put([]byte("main"), binary.BigEndian.AppendUint64(nil, 1)),
			)
		})
		_, err1 := s.Session(t.Context(), id)
		_, err2 := s.sessions(t.Context(), "main", "alice")
		_, _, err3 := s.RotateSession(t.Context(), id, token.Rotation{})
		_, err4 := s.Take(t.Context(), []token.Limit{{Key: "a", Max: 1, Window: time.Minute}})
		_, _, err5 := s.keyring(t.Context(), "main")
		err6 := s.putKeyring(t.Context(), "main", []byte("x"), 0)
		for i, e := range []error{err1, err2, err3, err4, err5, err6} {
			if !errors.Is(e, ErrUnavailable) || errors.Is(e, token.ErrNoSession) || errors.Is(e, ErrConflict) || err != nil {
				t.Errorf("%s, %d: got %v, want ErrUnavailable", name, i, e)
			}
		}
	}
	if err := s.EndSession(t.Context(), id); err != nil {
		t.Error(err)
	}
	if list, err := s.sessions(t.Context(), "main", "alice"); len(list) != 0 || err != nil {
		t.Errorf("after the end: %v, %v", list, err)
	}
}

// TestEmbeddedListsTheLast: of too many sessions those that end last are listed.
func TestEmbeddedListsTheLast(t *testing.T) {
	s := memory(t)
	end := time.Now().Add(time.Hour)
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
		for i := range maxListed + 10 {
			x := loginAt("alice", end.Add(time.Duration(i)*time.Second))
			err = errors.Join(err, writeSession(tx, &embeddedSession{recordOf(x), stateOf(x, token.RefreshHashes{})}))
		}
		return err
	})
	list, err2 := s.sessions(t.Context(), "main", "alice")
	if len(list) != maxListed || err != nil || err2 != nil {
		t.Fatal(len(list), err, err2)
	}
	for _, x := range list {
		if x.Expires.Before(end.Add(10 * time.Second).Truncate(time.Millisecond)) {
			t.Errorf("one that ends at %s is listed", x.Expires)
		}
	}
}
