package users

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"gatehouse/auth/token"
)

func TestFileFindsByEitherName(t *testing.T) {
	hash := fastHash(t, "x")
	f, err := NewFile("users.yaml", []Record{
		{ID: "1", Username: "Anna", Email: "Anna@Example.com", PasswordHash: hash},
		{ID: "2", Username: "BOB", PasswordHash: hash},
		{ID: "3", Email: "carol@example.com", PasswordHash: hash},
		{ID: "4", Username: "dora@example.com", Email: "Dora@example.com", PasswordHash: hash}, // one name twice
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"anna": "1", "anna@example.com": "1", "bob": "2", "carol@example.com": "3", "dora@example.com": "4",
		"Anna": "", "": "", "dora": "", // names come in their canonical spelling
	} {
		r, err := f.find(t.Context(), name)
		if r.ID != want || (want == "") != errors.Is(err, errUnknown) {
			t.Errorf("%q is user %q, %v; want %q", name, r.ID, err, want)
		}
	}
}

func TestFileProblems(t *testing.T) {
	hash := fastHash(t, "x")
	_, err := NewFile("users.yaml", []Record{
		{ID: "1", Username: "anna", Email: "anna@example.com", PasswordHash: hash},
		{ID: "1", Username: "bob", PasswordHash: hash},
		{Username: "carol", PasswordHash: hash},
		{ID: "4", Username: "ANNA@example.com", PasswordHash: hash},
		{ID: "5", PasswordHash: hash},
		{ID: "6", Username: "two words", Email: "e", PasswordHash: hash},
		{ID: "7", Username: "g", PasswordHash: "secret plain text"},
		{ID: "8", Username: "h", PasswordHash: hash, Claims: map[string]json.RawMessage{"sub": json.RawMessage(`"root"`)}},
		{ID: "9", Username: "i"},
		{ID: "10", Username: "j", Email: "Ａnna@example.com", PasswordHash: hash}, // a wide A
		{ID: "a\nb", Username: "k", PasswordHash: hash},
		{ID: "12", Username: "l", Email: strings.Repeat("l", maxTextBytes+1), PasswordHash: hash},
	})
	var got RecordErrors
	if !errors.As(err, &got) {
		t.Fatalf("the error is %v", err)
	}
	want := []RecordError{
		{1, "id", errors.New("is that of user 1 too")},
		{2, "id", errors.New("is empty")},
		{3, "username", errors.New("is a login name of user 1 too")},
		{4, "username", errors.New("is missing, and there is no email to log in with")},
		{5, "username", errors.New("cannot be a login name: use letters, digits and signs, without spaces")},
		{6, "password_hash", errors.New("is no argon2id or bcrypt hash: gatehouse user hash makes one")},
		{7, "claims.sub", errors.New("is set by the token service itself")},
		{8, "password_hash", errors.New("is no argon2id or bcrypt hash: gatehouse user hash makes one")},
		{9, "email", errors.New("is a login name of user 1 too")},
		{10, "id", errors.New("is not text of at most 320 bytes")},
		{11, "email", errors.New("is not text of at most 320 bytes")},
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i].Error() != want[i].Error() {
			t.Fatalf("the problems are\n%v\nwant\n%v", got, RecordErrors(want))
		}
	}
	if strings.Contains(err.Error(), "secret plain text") {
		t.Errorf("the error shows a hash: %v", err)
	}
}

// What a session was begun with may change; who it is may not.
func TestFileRereadsById(t *testing.T) {
	f, err := NewFile("users.yaml", []Record{{ID: "1", Username: "annika", Email: "new@example.com", PasswordHash: fastHash(t, "x")}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.reread(t.Context(), token.Session{Subject: "1", Username: "anna"})
	if err != nil || r.Email != "new@example.com" {
		t.Errorf("the user is %+v, %v", r, err)
	}
	if _, err := f.reread(t.Context(), token.Session{Subject: "2", Username: "annika"}); !errors.Is(err, errUnknown) {
		t.Errorf("a user who is gone is %v", err)
	}
}
