package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsersFile(t *testing.T) {
	f, err := ParseUsers("users.yaml", []byte(`# Who may log in.
- id: user-123
  username: jane
  email: jane@example.com
  password_hash: $2a$04$${file:hs.secret}
  claims:
    roles: [staff, "admin"]
    account: 12345678901234567890123
    ratio: 1.50
    small: -2e-7
    manager: null
    "quoted": "<\u2028\\>"
    nested: {"a b": [[], {}, {deep: true}], "1": "1"}
    same: &a {x: y}
    again: *a
    date: "2027-01-01"
    plain: no
    with space: ""
- {id: "0123", username: bob, password_hash: "x", disabled: true, claims: {}}
`))
	if err != nil {
		t.Fatal(err)
	}
	jane, bob := f.Users[0], f.Users[1]
	claims := map[string]string{}
	for name, value := range jane.Claims {
		if !json.Valid(value) {
			t.Errorf("%s is no JSON: %s", name, value)
		}
		claims[name] = string(value)
	}
	same(t, "claims", claims, map[string]string{
		"roles": `["staff","admin"]`, "account": "12345678901234567890123", "ratio": "1.50", "small": "-2e-7", "manager": "null",
		"quoted": `"\u003c\u2028\\\u003e"`, "nested": `{"a b":[[],{},{"deep":true}],"1":"1"}`, "same": `{"x":"y"}`, "again": `{"x":"y"}`,
		"date": `"2027-01-01"`, "plain": `"no"`, "with space": `""`,
	})
	same(t, "hash, without references", jane.PasswordHash.Reveal(), "$2a$04$${file:hs.secret}")
	jane.Claims, jane.PasswordHash = nil, ""
	same(t, "jane", jane, User{ID: "user-123", Username: "jane", Email: "jane@example.com"})
	same(t, "bob", bob, User{ID: "0123", Username: "bob", PasswordHash: "x", Disabled: true, Claims: Claims{}})
	if shown := fmt.Sprintf("%v %+v %#v", bob, bob, bob); strings.Contains(shown, `"x"`) || !strings.Contains(shown, redacted) {
		t.Errorf("the hash shows in %s", shown)
	}
	for _, p := range []struct {
		problem Problem
		want    string
	}{
		{f.Problem(0, "password_hash", "is %s", "bad"), "users.yaml:5:18: [0].password_hash: is bad"},
		{f.Problem(0, "claims", "is bad"), "users.yaml:6:3: [0].claims: is bad"},
		{f.Problem(0, "claims.roles", "is bad"), "users.yaml:7:12: [0].claims.roles: is bad"},
		{f.Problem(0, "claims.with space", "is bad"), `users.yaml:18:17: [0].claims."with space": is bad`},
		{f.Problem(1, "email", "is bad"), "users.yaml:19:3: [1].email: is bad"},
		{f.Problem(1, "", "is bad"), "users.yaml:19:3: [1]: is bad"},
		{f.Problem(2, "id", "is bad"), "users.yaml:1:1: [2].id: is bad"},
	} {
		same(t, "problem", p.problem.Error(), p.want)
	}
}

func TestUsersFileProblems(t *testing.T) {
	for content, want := range map[string]string{
		"":                      ":1:1: the file is empty",
		"{}":                    ":1:1: the file must be a list of users: - id: …",
		"users: []":             ":1:1: the file must be a list of users: - id: …",
		"[":                     ":2:1: is not YAML, here or in what begins here: did not find expected node content",
		"[${":                   ":1:1: is not YAML, here or in what begins here: did not find expected ',' or ']'",
		"[]\n---\n[]":           ":2:1: a second YAML document begins: one file holds one config",
		"- jane":                ":1:3: [0]: must be a mapping of keys to values",
		"-":                     ":1:2: [0]: has no value: write one, or remove the key",
		"- {}":                  ":1:3: [0].id: is missing: say who it is for applications; it becomes the claim sub|:1:3: [0].password_hash: is missing: gatehouse user hash makes one",
		user("usernme: a"):      `:2:3: [0].usernme: unknown key (did you mean "username"?)`,
		user("id: b"):           ":2:3: [0].id: duplicate key; it is first on line 1",
		user("username: 0123"):  ":2:13: [0].username: is a number to YAML, and a string is wanted: put it in quotes",
		user("disabled: yes"):   ":2:13: [0].disabled: must be true or false, without quotes",
		user("email: \"a\\0\""): ":2:10: [0].email: contains a control character",
		user("claims: [a]"):     ":2:3: [0].claims: must be a mapping of claims to values",
		user("claims: "):        ":2:11: [0].claims: has no value: write one, or remove the key",
		user("claims: {a: 1, b: [2, {a: ~}], a: 3}"): ":2:29: [0].claims.b[1].a: has no value: write one, or null, or remove the key|:2:34: [0].claims.a: duplicate key; it is first on line 2",
		user("claims: {a: 010, b: 0x1f, c: +1}"):     notJSON(15, "a") + "|" + notJSON(23, "b") + "|" + notJSON(32, "c"),
		user("claims: {a: .5, b: .inf, c: 1_0}"):     notJSON(15, "a") + "|" + notJSON(22, "b") + "|" + notJSON(31, "c"),
		user("claims: {a: True}"):                    ":2:15: [0].claims.a: must be true or false, or stand in quotes",
		user("claims: {a: 2027-01-01}"):              ":2:15: [0].claims.a: is a date to YAML, and a string is wanted: put it in quotes",
		user("claims: {a: !!str b}"):                 ":2:15: [0].claims.a: has a YAML tag: remove it",
		user("claims: {a: !x [b]}"):                  ":2:15: [0].claims.a: has a YAML tag: remove it",
		user("claims: {!!str a: b}"):                 ":2:12: [0].claims: has a key that is not a name",
		user("claims: {a: {[b]: c}}"):                ":2:16: [0].claims.a: has a key that is not a name",
		user("claims: {1: b, true: c}"):              ":2:12: [0].claims: has a key that is a number to YAML: put it in quotes|:2:18: [0].claims: has a key that is true or false to YAML: put it in quotes",
		user("claims: {<<: {a: b}}"):                 ":2:12: [0].claims: has a key that is a merge key to YAML: put it in quotes",
		user("claims: {~: b}"):                       ":2:12: [0].claims: has a key that is null to YAML: put it in quotes",
		user("claims: {a: &a [*a]}"):                 ":2:15: [0].claims.a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: is nested more than 16 deep",
		user("claims: {a: &a {b c: *a}}"):            `:2:15: [0].claims.a` + strings.Repeat(`."b c"`, 16) + ": is nested more than 16 deep",
	} {
		_, err := ParseUsers("users.yaml", []byte(content))
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%q: %v, want problems", content, err)
			continue
		}
		want = "users.yaml" + strings.ReplaceAll(want, "|", "\nusers.yaml")
		if err.Error() != want {
			t.Errorf("%q:\n got %s\nwant %s", content, err, want)
		}
	}
}

// user returns a users file whose second line has that key.
func user(key string) string { return "- {id: a, password_hash: x,\n  " + key + "}\n" }

func notJSON(column int, claim string) string {
	return fmt.Sprintf(":2:%d: [0].claims.%s: must be a number as JSON has it, as in 12, -0.5 or 1e6; or put it in quotes", column, claim)
}

func TestC10UsersFileBomb(t *testing.T) {
	bomb := "- {id: a, password_hash: x, claims: {a: &a [1" + strings.Repeat(",1", 999) + "], b: &b [*a" + strings.Repeat(",*a", 999) + "], c: [*b" + strings.Repeat(",*b", 999) + "]}}\n"
	if _, err := ParseUsers("users.yaml", []byte(bomb)); err == nil || !strings.Contains(err.Error(), "with its aliases unfolded, the file has more than 3200000 values") {
		t.Errorf("a bomb gives %.300v", err)
	}
}

// A users file can be larger than a config, also where the config names it.
func TestUsersFileSize(t *testing.T) {
	chdir(t)
	content := smallService + "  users: [{file: large.yaml}]\n"
	for _, c := range []struct {
		bytes       int
		named, read bool
	}{{2 << 20, true, true}, {maxUsersFileBytes, true, false}, {maxUsersFileBytes + 1, false, false}} {
		// Where size is all that counts, the parser stops at a tab.
		start := "[]\n#"
		if !c.read {
			start = "\t"
		}
		if err := os.WriteFile("large.yaml", []byte(start+strings.Repeat("#", c.bytes-len(start))), 0o600); err != nil {
			t.Fatal(err)
		}
		const large = ": the file is larger than 16 MiB"
		if _, err := Parse("gateway.yaml", []byte(content), nil); (err == nil) != c.named || err != nil && !strings.HasSuffix(err.Error(), large) {
			t.Errorf("%d bytes are named: %v", c.bytes, err)
		}
		if _, err := LoadUsers("large.yaml"); (err == nil) != c.read || err != nil && strings.HasSuffix(err.Error(), large) == c.named {
			t.Errorf("%d bytes are read: %v", c.bytes, err)
		}
	}
	if _, err := LoadUsers("none.yaml"); err == nil || err.Error() != "none.yaml: no such file" {
		t.Errorf("no file: %v", err)
	}
	here, err := filepath.Abs("users.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if f, err := LoadUsers(File(here)); err != nil || len(f.Users) != 0 || f.Name() != here {
		t.Errorf("%v, %v", f, err)
	}
}
