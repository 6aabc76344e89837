package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/auth/token"
	"gatehouse/store"
)

// Login returns a session of the issuer main that has begun just now and ends
// in an hour.
func Login(subject string) token.Session {
	now := time.Now().Truncate(time.Millisecond).UTC()
	return token.Session{
		ID: token.NewSessionID("main", subject), Issuer: "main", Subject: subject, Username: "Ümit", Source: "users.yaml",
		ClientID: "app", Scopes: []string{"a", "b:c"}, Claims: []byte(`{"name" : "<é>"}`), Address: "2001:db8::1",
		AuthTime: Second(now), Refreshed: now, Expires: now.Add(time.Hour),
	}
}

// RefreshToken returns the hashes of the nth refresh token of a session.
func RefreshToken(sid string, n int) token.RefreshHashes {
	return token.RefreshHashes{
		Family:  sha256.Sum256([]byte("family of " + sid)),
		Current: sha256.Sum256(fmt.Append(nil, n, " of ", sid)),
	}
}

// Rotation asks for the refresh token after the nth in its place, with a grace
// of a minute.
func Rotation(sid string, n int) token.Rotation {
	return token.Rotation{
		Presented: RefreshToken(sid, n), Next: RefreshToken(sid, n+1).Current,
		Salt:  sha256.Sum256(fmt.Append(nil, "salt ", n, " of ", sid)),
		Grace: time.Minute, Expires: time.Now().Add(time.Hour),
	}
}

// another returns the rotation as another request makes it, which knows nothing
// of the first.
func another(r token.Rotation, number int) token.Rotation {
	r.Salt = sha256.Sum256(fmt.Append(r.Salt[:], number))
	r.Next = sha256.Sum256(r.Salt[:])
	return r
}

// login puts a session with its refresh token of number 0.
func login(t testing.TB, s *store.Store, subject string) token.Session {
	t.Helper()
	session := Login(subject)
	check(t, s.PutSession(t.Context(), session, RefreshToken(session.ID, 0)))
	session.Refresh = RefreshToken(session.ID, 0)
	return session
}

func rotate(t testing.TB, s *store.Store, sid string, r token.Rotation, want token.RotationResult) (salt [32]byte) {
	t.Helper()
	got, salt, err := s.RotateSession(t.Context(), sid, r)
	check(t, err)
	if got != want {
		t.Fatalf("got result %d, want %d", got, want)
	}
	if (salt != [32]byte{}) != (want == token.RotationRepeated) {
		t.Fatalf("result %d with salt %x", got, salt)
	}
	return salt
}

func noSession(t testing.TB, s *store.Store, id string) {
	t.Helper()
	if got, err := s.Session(t.Context(), id); !errors.Is(err, token.ErrNoSession) || errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got %+v, %v, want ErrNoSession", got, err)
	}
}

func sessions(t *testing.T, s *store.Store) {
	full, bare := login(t, s, "alice"), token.Session{
		ID: token.NewSessionID("x", "bob"), Issuer: "x", Subject: "bob", Expires: time.Now().Add(time.Hour).Truncate(time.Millisecond).UTC(),
	}
	check(t, s.PutSession(t.Context(), bare, token.RefreshHashes{}))
	for _, want := range []token.Session{full, bare} {
		got, err := s.Session(t.Context(), want.ID)
		check(t, err)
		equal(t, got, want)
	}
	for _, id := range []string{"", "jti of a token", full.ID + "A", token.NewSessionID("main", "alice")} {
		noSession(t, s, id)
		check(t, s.EndSession(t.Context(), id))
	}
	for range 2 {
		check(t, s.EndSession(t.Context(), full.ID))
		noSession(t, s, full.ID)
		rotate(t, s, full.ID, Rotation(full.ID, 0), token.RotationUnknown)
	}
	_, err := s.Session(t.Context(), bare.ID)
	check(t, err)
}

func sessionList(t *testing.T, s *store.Store) {
	list := func(issuer, subject string) (list []token.Session) {
		list, err := s.Sessions(t.Context(), issuer, subject)
		check(t, err)
		return list
	}
	equal(t, len(list("main", "alice")), 0)
	var mine []token.Session
	for i := range 3 {
		session := Login("alice")
		session.AuthTime = session.AuthTime.Add(time.Duration(i-5) * time.Hour)
		session.Expires = session.Expires.Add(time.Duration(-i) * time.Minute)
		check(t, s.PutSession(t.Context(), session, RefreshToken(session.ID, 0)))
		session.Refresh = RefreshToken(session.ID, 0)
		mine = append([]token.Session{session}, mine...)
	}
	login(t, s, "bob")
	other := login(t, s, "alic")
	other.ID, other.Issuer, other.Subject = token.NewSessionID("maina", "lice"), "maina", "lice"
	check(t, s.PutSession(t.Context(), other, other.Refresh))
	equal(t, list("main", "alice"), mine)
	equal(t, list("maina", "lice"), []token.Session{other})

	rotate(t, s, mine[0].ID, another(Rotation(mine[0].ID, -1), 0), token.RotationReplayed)
	check(t, s.EndSession(t.Context(), mine[1].ID))
	equal(t, list("main", "alice"), mine[2:])
}

func sessionInvalid(t *testing.T, s *store.Store) {
	for name, change := range map[string]func(*token.Session, *token.RefreshHashes){
		"no id":                  func(x *token.Session, _ *token.RefreshHashes) { x.ID = "" },
		"id of another subject":  func(x *token.Session, _ *token.RefreshHashes) { x.ID = strings.Repeat("A", 27) },
		"no issuer":              func(x *token.Session, _ *token.RefreshHashes) { x.Issuer = "" },
		"no subject":             func(x *token.Session, _ *token.RefreshHashes) { x.Subject = "" },
		"not UTF-8":              func(x *token.Session, _ *token.RefreshHashes) { x.Scopes = []string{"\xff"} },
		"too much":               func(x *token.Session, _ *token.RefreshHashes) { x.Claims = make([]byte, 64<<10) },
		"half a refresh token":   func(_ *token.Session, r *token.RefreshHashes) { r.Family = [32]byte{} },
		"no current token":       func(_ *token.Session, r *token.RefreshHashes) { r.Current = [32]byte{} },
		"R10 no end":             func(x *token.Session, _ *token.RefreshHashes) { x.Expires = time.Time{} },
		"R10 over":               func(x *token.Session, _ *token.RefreshHashes) { x.Expires = time.Now() },
		"end beyond what may be": func(x *token.Session, _ *token.RefreshHashes) { x.Expires = time.Unix(1<<40, 0) },
	} {
		session := Login("alice")
		r := RefreshToken(session.ID, 0)
		change(&session, &r)
		if err := s.PutSession(t.Context(), session, r); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
		if session.ID != "" {
			noSession(t, s, session.ID)
		}
	}
	long := Login(strings.Repeat("x", 16<<10+1))
	if err := s.PutSession(t.Context(), long, token.RefreshHashes{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("subject too long: got %v, want ErrInvalid", err)
	}
	session := login(t, s, "alice")
	for name, change := range map[string]func(*token.Rotation){
		"no family":      func(r *token.Rotation) { r.Presented.Family = [32]byte{} },
		"no token":       func(r *token.Rotation) { r.Presented.Current = [32]byte{} },
		"no successor":   func(r *token.Rotation) { r.Next = [32]byte{} },
		"its own":        func(r *token.Rotation) { r.Next = r.Presented.Current },
		"negative grace": func(r *token.Rotation) { r.Grace = -1 },
		"R10 no end":     func(r *token.Rotation) { r.Expires = time.Time{} },
		"R10 over":       func(r *token.Rotation) { r.Expires = time.Now() },
	} {
		r := Rotation(session.ID, 0)
		change(&r)
		if _, _, err := s.RotateSession(t.Context(), session.ID, r); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("rotation, %s: got %v, want ErrInvalid", name, err)
		}
	}
	got, err := s.Session(t.Context(), session.ID)
	check(t, err)
	equal(t, got, session)
}

// sessionOver: a session ends by itself, and is prolonged by rotation only.
func sessionOver(t *testing.T, s *store.Store) {
	short, longer := Login("alice"), login(t, s, "alice")
	short.Expires = time.Now().Add(300 * time.Millisecond)
	check(t, s.PutSession(t.Context(), short, RefreshToken(short.ID, 0)))
	r := Rotation(longer.ID, 0)
	r.Expires = time.Now().Add(200 * time.Millisecond)
	rotate(t, s, longer.ID, r, token.Rotated)
	for _, id := range []string{short.ID, longer.ID} {
		Until(t, "the session is over", func() bool {
			_, err := s.Session(t.Context(), id)
			return errors.Is(err, token.ErrNoSession)
		})
		rotate(t, s, id, Rotation(id, 0), token.RotationUnknown)
		rotate(t, s, id, Rotation(id, 1), token.RotationUnknown)
	}
	list, err := s.Sessions(t.Context(), "main", "alice")
	check(t, err)
	equal(t, len(list), 0)
}
