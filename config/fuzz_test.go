package config

import (
	"bytes"
	"encoding/hex"
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

// FuzzScalars: a size, duration, rate or hash that is accepted prints as
// something that is read as the same.
func FuzzScalars(f *testing.F) {
	for _, text := range []string{
		"0", "512B", "32KiB", "10MiB", "1GiB", "9223372036854775807", "8589934592GiB", "-1", "1.5KiB", "1h30m", "12h", "1ns", "2562047h47m16.854775807s", "1d", "10/5m", "0/1s", "off", "1/1ms", "0a1", strings.Repeat("0a", 32),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var size, size2 Size
		if size.UnmarshalText([]byte(text)) == nil && (size < 0 || size2.UnmarshalText([]byte(size.String())) != nil || size != size2) {
			t.Errorf("size %q is %d, prints as %s, and is then %d", text, size, size, size2)
		}
		var duration, duration2 Duration
		if duration.UnmarshalText([]byte(text)) == nil && (duration < 0 || duration2.UnmarshalText([]byte(duration.String())) != nil || duration != duration2) {
			t.Errorf("duration %q is %d, prints as %s, and is then %d", text, duration, duration, duration2)
		}
		var rate, rate2 Rate
		if rate.UnmarshalText([]byte(text)) == nil && (rate2.UnmarshalText([]byte(rate.String())) != nil || rate != rate2) {
			t.Errorf("rate %q is %v, and then %v", text, rate, rate2)
		}
		var hash Hash
		if hash.UnmarshalText([]byte(text)) == nil && !strings.EqualFold(hex.EncodeToString(hash[:]), text) {
			t.Errorf("hash %q is %x", text, hash)
		}
	})
}
