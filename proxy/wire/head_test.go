package wire

import (
	"strings"
	"testing"

	"gatehouse/auth"
)

func TestOptions(t *testing.T) {
	for target, want := range map[string]auth.Reason{"/a": auth.OK, "*": auth.MethodNotAllowed, "**": auth.RequestMalformed} {
		got := auth.OK
		if _, f := (&head{max: 1 << 10}).feed([]byte("OPTIONS " + target + " HTTP/1.1\r\nHost: h\r\n\r\n")); f != nil {
			got = f.Reason
		}
		if got != want {
			t.Errorf("OPTIONS %s: %s, want %s", target, got, want)
		}
	}
}

// The log says what is wrong with a line that is no header field.
func TestDetailOfBadLines(t *testing.T) {
	for line, want := range map[string]string{
		" X: 1": "white space", "\tX: 1": "white space", "X": "not a name, a colon and a value", "X Y: 1": "not a name, a colon and a value",
		"X : 1": "not a name, a colon and a value", ": 1": "not a name, a colon and a value", "X_Y: 1": "X_Y",
	} {
		_, f := (&head{max: 1 << 10}).feed([]byte("GET / HTTP/1.1\r\nHost: h\r\n" + line + "\r\n\r\n"))
		if f == nil || f.Reason != auth.RequestMalformed || !strings.Contains(f.Detail, want) {
			t.Errorf("%q: %v, want %q", line, f, want)
		}
	}
}
