package token

import (
	"strings"
	"testing"
)

// FuzzSessionID: an id has one spelling, and belongs to nobody but its owner.
func FuzzSessionID(f *testing.F) {
	id := NewSessionID("main", "alice")
	for _, sid := range []string{id, id[1:], id + "A", strings.ToLower(id), id[:len(id)-1] + "=", "", strings.Repeat("A", len(id)), strings.Repeat("\n", len(id))} {
		f.Add(sid, "main", "alice")
		f.Add(sid, "mainalice", "")
	}
	f.Fuzz(func(t *testing.T, sid, issuer, subject string) {
		parsed, ok := parseSessionID(sid)
		if !ok {
			return
		}
		if again := encoding.EncodeToString(parsed[:]); again != sid {
			t.Errorf("%q is the same id as %q", sid, again)
		}
		if sid == id && sessionIsOf(sid, issuer, subject) && (issuer != "main" || subject != "alice") {
			t.Errorf("%q belongs to %q of %q", sid, subject, issuer)
		}
	})
}
