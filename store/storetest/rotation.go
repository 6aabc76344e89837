package storetest

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"gatehouse/auth/token"
	"gatehouse/store"
)

// parallel is how many do the same at once.
const parallel = 64

// atOnce calls do for 0 to parallel-1 at the same time.
func atOnce(t testing.TB, do func(i int) error) {
	t.Helper()
	start, done := make(chan struct{}), make(chan error, parallel)
	for i := range parallel {
		go func() {
			<-start
			done <- do(i)
		}()
	}
	close(start)
	var failed error
	for range parallel {
		failed = errors.Join(failed, <-done)
	}
	check(t, failed)
}

// rotationParallel: of all that present one token at once, one rotates it, and
// the others are told how to make the same successor.
func rotationParallel(t *testing.T, s *store.Store) {
	session := login(t, s, "alice")
	var results [parallel]token.RotationResult
	var salts [parallel][32]byte
	atOnce(t, func(i int) (err error) {
		results[i], salts[i], err = s.RotateSession(t.Context(), session.ID, another(Rotation(session.ID, 0), i))
		return err
	})
	winner := -1
	for i, result := range results {
		if result == token.Rotated {
			if winner >= 0 {
				t.Fatalf("both %d and %d rotated the token", winner, i)
			}
			winner = i
		}
	}
	if winner < 0 {
		t.Fatal("nobody rotated the token")
	}
	won := another(Rotation(session.ID, 0), winner)
	for i, result := range results {
		if i != winner && (result != token.RotationRepeated || salts[i] != won.Salt) {
			t.Errorf("%d of %d: result %d, the winner's salt: %v", i, parallel, result, salts[i] == won.Salt)
		}
	}
	got, err := s.Session(t.Context(), session.ID)
	check(t, err)
	equal(t, got.Refresh, token.RefreshHashes{Family: session.Refresh.Family, Current: won.Next})
}

// rotationReplayed: an old token that comes after its grace ends the session
// for good, also for who has the current one.
func rotationReplayed(t *testing.T, s *store.Store) {
	session := login(t, s, "alice")
	r := Rotation(session.ID, 0)
	r.Grace = 200 * time.Millisecond
	rotate(t, s, session.ID, r, token.Rotated)
	rotate(t, s, session.ID, another(r, 1), token.RotationRepeated)
	Until(t, "the grace is over", func() bool {
		result, salt, err := s.RotateSession(t.Context(), session.ID, another(r, 2))
		check(t, err)
		if result == token.RotationRepeated {
			equal(t, salt, r.Salt)
		} else {
			equal(t, result, token.RotationReplayed)
		}
		return result == token.RotationReplayed
	})
	for range 2 {
		for n := range 3 { // the old one, the current one, its successor
			rotate(t, s, session.ID, another(Rotation(session.ID, n), 3), token.RotationReplayed)
		}
	}
	got, err := s.Session(t.Context(), session.ID)
	check(t, err)
	equal(t, got.Replayed, true)
	equal(t, got.Refresh.Current, r.Next)
	check(t, s.EndSession(t.Context(), session.ID))
	rotate(t, s, session.ID, Rotation(session.ID, 1), token.RotationUnknown)

	// A token that was never issued, but has the family of the session, can
	// only have been made from one that was.
	session = login(t, s, "alice")
	rotate(t, s, session.ID, another(Rotation(session.ID, 7), 0), token.RotationReplayed)

	// Nothing of it is left in one that replaces it.
	check(t, s.PutSession(t.Context(), session, session.Refresh))
	rotate(t, s, session.ID, Rotation(session.ID, 0), token.Rotated)
}

// rotationRemembered: the last 16 rotations can be asked for again.
func rotationRemembered(t *testing.T, s *store.Store) {
	session := login(t, s, "alice")
	for n := range 17 {
		rotate(t, s, session.ID, Rotation(session.ID, n), token.Rotated)
	}
	for n := 1; n < 17; n++ {
		equal(t, rotate(t, s, session.ID, another(Rotation(session.ID, n), 0), token.RotationRepeated), Rotation(session.ID, n).Salt)
	}
	rotate(t, s, session.ID, another(Rotation(session.ID, 0), 0), token.RotationReplayed)

	// What is past its grace takes no room.
	session = login(t, s, "alice")
	for n := range 20 {
		r := Rotation(session.ID, n)
		if n > 0 {
			r.Grace = 0
		}
		rotate(t, s, session.ID, r, token.Rotated)
	}
	rotate(t, s, session.ID, another(Rotation(session.ID, 0), 0), token.RotationRepeated)
}

// rotationAgain: a rotation whose reply was lost is asked for again, grace or
// not. Without a grace, another of the same token is a replay.
func rotationAgain(t *testing.T, s *store.Store) {
	for _, grace := range []time.Duration{0, time.Minute} {
		session := login(t, s, "alice")
		r := Rotation(session.ID, 0)
		r.Grace = grace
		for range 3 {
			rotate(t, s, session.ID, r, token.Rotated)
		}
		want := token.RotationReplayed
		if grace > 0 {
			want = token.RotationRepeated
		}
		rotate(t, s, session.ID, another(r, 1), want)
	}
}

// rotationUnknown: what is no token of the session changes nothing in it.
func rotationUnknown(t *testing.T, s *store.Store) {
	session, other := login(t, s, "alice"), login(t, s, "alice")
	fixed := Login("alice")
	check(t, s.PutSession(t.Context(), fixed, token.RefreshHashes{}))
	forged := Rotation(session.ID, 0)
	forged.Presented.Family = sha256.Sum256([]byte("guessed"))
	stolen := Rotation(session.ID, 0)
	stolen.Presented.Family = other.Refresh.Family
	for name, c := range map[string]struct {
		id string
		r  token.Rotation
	}{
		"another session's token": {session.ID, Rotation(other.ID, 0)},
		"forged":                  {session.ID, forged},
		"another's family":        {session.ID, stolen},
		"cannot be refreshed":     {fixed.ID, Rotation(fixed.ID, 0)},
		"no such session":         {token.NewSessionID("main", "alice"), Rotation(session.ID, 0)},
		"no id":                   {"x", Rotation(session.ID, 0)},
	} {
		t.Run(name, func(t *testing.T) { rotate(t, s, c.id, c.r, token.RotationUnknown) })
	}
	for _, want := range []token.Session{session, other, fixed} {
		got, err := s.Session(t.Context(), want.ID)
		check(t, err)
		equal(t, got, want)
	}
}

// rotationKeeps: a rotation moves the end of a session, and nothing else.
func rotationKeeps(t *testing.T, s *store.Store) {
	session := Login("alice")
	session.Refreshed = session.Refreshed.Add(-time.Hour)
	check(t, s.PutSession(t.Context(), session, RefreshToken(session.ID, 0)))
	for n, end := range []time.Duration{3 * time.Hour, 2 * time.Hour} {
		r := Rotation(session.ID, n)
		r.Expires = time.Now().Add(end).Truncate(time.Millisecond).UTC()
		rotate(t, s, session.ID, r, token.Rotated)
		got, err := s.Session(t.Context(), session.ID)
		check(t, err)
		if age := time.Since(got.Refreshed).Abs(); age > patience {
			t.Errorf("refreshed %s ago", age)
		}
		session.Expires, session.Refresh, session.Refreshed = r.Expires, RefreshToken(session.ID, n+1), got.Refreshed
		equal(t, got, session)
		list, err := s.Sessions(t.Context(), "main", "alice")
		check(t, err)
		equal(t, list, []token.Session{session})
	}
	// The first token still leads to the second, and so to the third.
	for n := range 2 {
		equal(t, rotate(t, s, session.ID, another(Rotation(session.ID, n), 9), token.RotationRepeated), Rotation(session.ID, n).Salt)
	}
	rotate(t, s, session.ID, Rotation(session.ID, 2), token.Rotated)
}
