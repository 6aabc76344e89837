package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestLookup(t *testing.T) {
	for _, c := range []struct{ claims, path, want string }{
		{`{"a":1}`, "a", "1"},
		{`{"a":1}`, "b", ""},
		{`{"a":1}`, "a.b", ""},
		{`{"a":null}`, "a", ""},
		{`{"a":{"b":{"c":1}}}`, "a.b.c", "1"},
		{`{"a":{"b.c":1}}`, "a.b.c", "1"},
		{`{"a":{"b":{"c":null}}}`, "a.b.c", ""},
		{`{"a.b":{"c":1},"a":{"b":{"c":2}}}`, "a.b.c", "1"}, // the longest prefix comes first
		{`{"a.b":{"x":1},"a":{"b":{"c":2}}}`, "a.b.c", "2"}, // a prefix that leads nowhere is passed over
		{`{"a.b":1,"a":{"b":{"c":2}}}`, "a.b.c", "2"},
		{`{"a.b.c":null,"a":{"b":{"c":2}}}`, "a.b.c", ""},
		{`{"":{"a":1}}`, ".a", ""},
		{`{"a":{"":1}}`, "a.", "1"},
	} {
		claims, err := parseClaims([]byte(c.claims))
		if err != nil {
			t.Fatal(err)
		}
		if got := claims.Lookup(c.path); string(got) != c.want {
			t.Errorf("%s in %s is %s, want %s", c.path, c.claims, got, c.want)
		}
	}
}

func TestParseClaimsWantsAnObject(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `["a",1]`, "1", `"x"`} {
		if _, err := parseClaims([]byte(body)); !errors.Is(err, errNotObject) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestDate(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "1": 1, "-1": -1, "1.9": 1, "-1.1": -2, "1e3": 1000,
		"9007199254740991": 1<<53 - 1, "-9007199254740991": 1 - 1<<53,
	} {
		if got, ok := date(jsontext.Value(text)); !ok || got != want {
			t.Errorf("%s is %d, %t", text, got, ok)
		}
	}
	for _, text := range []string{"9007199254740992", "-9007199254740992", "1e300", "1e400", "-1e400", `"1"`, "true", "null", "{}", "[1]", ""} {
		if got, ok := date(jsontext.Value(text)); ok {
			t.Errorf("%s is the date %d", text, got)
		}
	}
}

func TestTextsAndWords(t *testing.T) {
	for _, c := range []struct {
		value        string
		texts, words []string
		ok           bool
	}{
		{`"a b"`, []string{"a b"}, []string{"a", "b"}, true},
		{`["a","b c"]`, []string{"a", "b c"}, []string{"a", "b c"}, true},
		{`[]`, nil, nil, true},
		{`[1,false,"\u0061"]`, []string{"1", "false", "a"}, []string{"1", "false", "a"}, true},
		{`true`, []string{"true"}, []string{"true"}, true},
		{`1e3`, nil, nil, false},
		{`["a",{}]`, nil, nil, false},
		{`["a",null]`, nil, nil, false},
		{`{}`, nil, nil, false},
		{``, nil, nil, false},
	} {
		if got, ok := texts(jsontext.Value(c.value)); ok != c.ok || !slices.Equal(got, c.texts) {
			t.Errorf("texts of %s: %q, %t", c.value, got, ok)
		}
		if got := words(jsontext.Value(c.value)); !slices.Equal(got, c.words) {
			t.Errorf("words of %s: %q", c.value, got)
		}
	}
}

// A name can be written with escapes, which are no other name.
func TestEscapedNames(t *testing.T) {
	f := newFixture(t, "HS256")
	payload := strings.Replace(f.payload(`,"a\"b":1`), `"sub"`, `"s\u0075b"`, 1)
	token := f.raw(f.header(), payload)
	d := f.want(token, OK)
	if d.Principal.Token.Subject() != "u1" || string(d.Principal.Token.Claims().Lookup(`a"b`)) != "1" || d.Principal.Token.Claims().Lookup("exp") == nil {
		t.Errorf("%s is read as %q", payload, d.Principal.Token.Subject())
	}
	f.want(f.raw(f.header(), f.payload(`,"s\u0075b":"u2"`)), TokenMalformed) // J11: twice
}

// An identity that is empty is none.
func TestEmptySubject(t *testing.T) {
	f := newFixture(t, "HS256")
	f.want(f.token(map[string]any{"sub": ""}), TokenClaims)
	f.issuer.Required = nil
	f.build()
	if d := f.want(f.token(map[string]any{"sub": ""}), OK); len(d.Headers) != 0 {
		t.Errorf("forwarded %v", d.Headers)
	}
}
