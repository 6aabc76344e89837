package wire

import (
	"strings"
	"testing"

	"gatehouse/auth"
)

func TestValidHost(t *testing.T) {
	for host, want := range map[string]bool{
		"example.com": true, "example.com:80": true, "a1": true, "123": true, "10.0.0.1": true, "10.0.0.1:65535": true,
		"[::1]": true, "[2001:db8::1]:443": true, "a.": true, "a_b.c": true, "a..b": false, "a..": false, "a..b:80": false,
		"": false, ":80": false, "a:": false, "a:123456": false, "a:b": false, "a@b": false, "a b": false, "a/b": false,
		"::1": false, "[::1": false, "::1]": false, "[::1x": false, "x::1]": false, "[]": false, "[1.2.3.4]": false, "[::1%eth0]": false, "[x]": false,
	} {
		if got := validHost(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}

func TestSplitTarget(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a":              {"", "/a"},
		"http://h/a?b":    {"h", "/a?b"},
		"HTTPS://h:8/":    {"h:8", "/"},
		"https://h":       {"h", ""},
		"http://":         {"", "http://"},
		"https://":        {"", "https://"},
		"http:///a":       {"", "http:///a"},
		"httpx://h/a":     {"", "httpx://h/a"},
		"ftp://h/a":       {"", "ftp://h/a"},
		"example.com:443": {"", "example.com:443"},
	} {
		if authority, path := splitTarget(target); authority != want[0] || path != want[1] {
			t.Errorf("%s: %q and %q", target, authority, path)
		}
	}
}

func TestLengthOfMethods(t *testing.T) {
	if f := checkMethod(strings.Repeat("A", maxMethodBytes)); f != nil {
		t.Error(f)
	}
	if f := checkMethod(strings.Repeat("A", maxMethodBytes+1)); f == nil || f.Reason != auth.MethodNotAllowed {
		t.Error(f)
	}
}

// A line that does not end must not be waited for beyond what a head may hold.
func TestD02EndlessLine(t *testing.T) {
	for begun, want := range map[string]int{
		"GET /" + strings.Repeat("a", 100):                            414,
		"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("a", 100): 431,
	} {
		if _, f := (&head{max: 100}).feed([]byte(begun)); f == nil || f.Status != want {
			t.Errorf("%.40q: %v, want %d", begun, f, want)
		}
		if _, f := (&head{max: 200}).feed([]byte(begun)); f != nil {
			t.Errorf("%.40q, within bounds: %v", begun, f)
		}
	}
}
