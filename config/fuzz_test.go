package config

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse: no content makes Parse panic, and a config that is accepted prints as
// one that is accepted and prints the same.
func FuzzParse(f *testing.F) {
	archive, err := os.ReadFile("testdata/problems.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range sections(string(archive)) {
		if strings.HasSuffix(s.name, ".yaml") {
			f.Add([]byte(s.text))
		}
	}
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(Template(Fresh{}))
	f.Add([]byte("a: &a [*a]\n? {}\n: !!binary x\n"))
	f.Add([]byte("routes: [{name: a, match: /, auth: none, upstream: \"http://[::1]:1\"}]\nadmin: {token: '$${A}'}\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(dir+"/gateway.yaml", data, []string{"A=b"})
		if err != nil {
			if _, ok := err.(Problems); !ok {
				t.Fatalf("error is no Problems: %v", err)
			}
			return
		}
		printed, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(dir+"/gateway.yaml", printed, nil)
		if err != nil {
			t.Fatalf("%v\n%s\nfrom\n%s", err, printed, data)
		}
		if twice, err := again.YAML(); err != nil || string(twice) != string(printed) {
			t.Fatalf("prints as\n%s\nand then as\n%s (%v)", printed, twice, err)
		}
	})
}

// FuzzParseUsers: no content makes ParseUsers panic, and users that are accepted
// stand somewhere in the file and have claims that are JSON.
func FuzzParseUsers(f *testing.F) {
	for _, content := range []string{
		"[]", "{}", "- {}", "- {id: a, password_hash: $2a$04$x}", "- &a {id: a, password_hash: b, claims: {a: *a}}",
		"- id: user-1\n  username: jane\n  email: jane@example.com\n  password_hash: \"$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA\"\n  disabled: true\n",
		"- {id: a, password_hash: b, claims: {n: 12345678901234567890, f: -1.50e+3, s: \"<\\u2028\\0>\", l: [1, [true, null]], o: {\"a b\": {}}}}\n",
		"- {id: a, password_hash: b, claims: {a: 010, b: .inf, c: 2027-01-01, d: !!binary x, <<: {}, ~: a, [b]: c, e: 1e999}}\n",
		"- id: a\n  password_hash: |\n    x\n  claims:\n    a: >\n      folded\n    b: 'single'\n---\n[]\n",
	} {
		f.Add([]byte(content))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseUsers("users.yaml", data)
		if err != nil {
			if _, ok := err.(Problems); !ok {
				t.Fatalf("error is no Problems: %v", err)
			}
			return
		}
		for i, u := range file.Users {
			if line := file.Problem(i, "id", "").Line; line < 1 || line > 1+bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r")) {
				t.Fatalf("user %d stands on line %d", i, line)
			}
			for name, value := range u.Claims {
				if !json.Valid(value) || !utf8.ValidString(name) {
					t.Fatalf("claim %q is %s", name, value)
				}
			}
		}
	})
}
