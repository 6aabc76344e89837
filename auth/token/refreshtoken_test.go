package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

func TestRefreshTokens(t *testing.T) {
	sid := NewSessionID("main", "u1")
	first := newRefreshToken(sid)
	text := first.encode()
	if len(text) != 91 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("%q", text)
	}
	parsed, ok := parseRefreshToken(text)
	if !ok || parsed != first || parsed.sessionID() != sid {
		t.Errorf("parsed %t, session %q of %q", ok, parsed.sessionID(), sid)
	}
	if s := fmt.Sprint(first); strings.Contains(s, text[30:]) || s != "[refresh token]" {
		t.Errorf("it shows as %q", s)
	}
	h := first.hashes()
	if h.Family != sha256.Sum256(first[20:36]) || h.Current != sha256.Sum256(first[:]) {
		t.Error("the hashes are of something else")
	}
	second := newRefreshToken(sid)
	if second.hashes().Family == h.Family || string(second[36:]) == string(first[36:]) {
		t.Error("two refresh tokens share what is random")
	}
}

func TestRefreshTokenSuccessors(t *testing.T) {
	first := newRefreshToken(NewSessionID("main", "u1"))
	salt := [32]byte{1, 2, 3}
	next := first.successor(salt)
	mac := hmac.New(sha256.New, first[36:])
	mac.Write(salt[:])
	if string(next[36:]) != string(mac.Sum(nil)) {
		t.Error("the successor is another than that of the salt")
	}
	if string(next[:36]) != string(first[:36]) || next.hashes().Family != first.hashes().Family || next.hashes().Current == first.hashes().Current {
		t.Error("the successor is not of the same session and family, or is the same token")
	}
	if next != first.successor(salt) || next == first.successor([32]byte{}) {
		t.Error("the successor is not made of the salt")
	}
	if first.successor(salt) == next.successor(salt) {
		t.Error("the successor is not made of its predecessor")
	}
}

func TestA16RefreshTokensAreRandom(t *testing.T) {
	seen := map[string]bool{}
	sid := NewSessionID("main", "u1")
	for range 1000 {
		r := newRefreshToken(sid)
		for _, random := range []string{string(r[20:36]), string(r[36:52]), string(r[52:])} {
			if seen[random] {
				t.Fatal("16 bytes came twice")
			}
			seen[random] = true
		}
	}
}

func TestA16SaltsAreRandom(t *testing.T) {
	f := newFixture(t)
	g := f.login(with("web", ""))
	seen := map[[32]byte]bool{{}: true}
	for range 10 {
		g = f.refreshed(with("web", ""), g.RefreshToken)
	}
	for _, salt := range f.store.salts {
		if seen[salt] {
			t.Error("a salt came twice, or is none")
		}
		seen[salt] = true
	}
	if len(seen) != 11 {
		t.Errorf("%d salts", len(seen)-1)
	}
}

func FuzzRefreshToken(f *testing.F) {
	good := newRefreshToken(NewSessionID("main", "u1")).encode()
	for _, s := range []string{
		"", good, good + "A", good[:90], good[:90] + "\n", good[:45] + "\r" + good[46:], good[:90] + "=", "a.b.c",
		strings.Repeat("A", 91), strings.Repeat("A", 90) + "\n", strings.Repeat("_", 91), strings.Repeat("A", 90) + "B", strings.Repeat("A", 1<<16),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := parseRefreshToken(s)
		if ok && r.encode() != s {
			t.Errorf("%q is another spelling of %q", s, r.encode())
		}
		if _, sid := SessionShard(r.sessionID()); ok && !sid {
			t.Errorf("%q names the session %q", s, r.sessionID())
		}
	})
}
