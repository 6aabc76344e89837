package token

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestA16SessionIDs(t *testing.T) {
	seen := map[string]bool{}
	shard := map[uint8]bool{}
	for range 1000 {
		id := NewSessionID("main", "u1")
		raw, err := base64.RawURLEncoding.DecodeString(id)
		if err != nil || len(raw) != 20 || len(id) != 27 {
			t.Fatalf("%q: %v", id, err)
		}
		if random := string(raw[4:]); seen[random] {
			t.Fatal("16 random bytes came twice")
		} else {
			seen[random] = true
		}
		s, ok := SessionShard(id)
		if !ok || s != raw[0] {
			t.Fatalf("shard of %q: %d %t", id, s, ok)
		}
		shard[s] = true
	}
	if len(shard) != 1 {
		t.Errorf("the sessions of one subject are in %d shards", len(shard))
	}
}

// The format is the stores': what was stored by one version is found by the next.
func TestSessionIDNamesItsSubject(t *testing.T) {
	id := NewSessionID("main", "u1")
	if raw, _ := base64.RawURLEncoding.DecodeString(id); string(raw[:4]) != "\x60\x6f\xa9\x6f" {
		t.Errorf("owner %x", raw[:4])
	}
	for _, c := range []struct {
		issuer, subject string
		want            bool
	}{{"main", "u1", true}, {"main", "u2", false}, {"mainu", "1", false}, {"", "mainu1", false}, {"other", "u1", false}} {
		if got := sessionIsOf(id, c.issuer, c.subject); got != c.want {
			t.Errorf("of %q %q: %t", c.issuer, c.subject, got)
		}
	}
}

func TestNoSessionIDs(t *testing.T) {
	good := NewSessionID("main", "u1")
	for _, id := range []string{
		"", "t1", good[:26], good + "A", good + "=", good[:10] + "+" + good[11:], good[:13] + "\n" + good[14:], good[:26] + "\n",
		good[:26] + "B", strings.Repeat("A", 26) + "\x00", strings.Repeat("A", 26) + "\n", strings.Repeat("A", 4096),
	} {
		if _, ok := SessionShard(id); ok {
			t.Errorf("%q is a session id", id)
		}
		if sessionIsOf(id, "main", "u1") {
			t.Errorf("%q is a session id of u1", id)
		}
	}
}

// People paste ids behind a command's name, where a hyphen begins a flag.
func TestSessionIDsBeginWithNoHyphen(t *testing.T) {
	for i := range 1000 {
		if id := NewSessionID("main", fmt.Sprint("user-", i)); id[0] == '-' || id[0] == '_' {
			t.Fatal(id)
		}
	}
}
