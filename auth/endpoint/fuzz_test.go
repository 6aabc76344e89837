package endpoint

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"", "grant_type=password&username=jane&password=p%26w+x", "a=1&a=2", "a=1&%61=2", "a;b", "a=%zz", "a=%ff", "%ff=a", "=", "&&", "a", "a==b", "\x00=\x00", "a=\xff", `{"a":"b"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseForm(text)
		reference, referenceErr := url.ParseQuery(text)
		if err != nil {
			if p != nil {
				t.Fatalf("%q: %v with %v", text, p, err)
			}
			return
		}
		if referenceErr != nil || len(reference) != len(p) {
			t.Fatalf("%q: %q, net/url has %q: %v", text, p, reference, referenceErr)
		}
		for name, value := range p {
			if !slices.Equal(reference[name], []string{value}) || !utf8.ValidString(name+value) {
				t.Fatalf("%q: %q is %q, net/url has %q", text, name, value, reference[name])
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"email":"jane","password":"pw"}`, `{"email":"a","email":"b"}`, `{"email":"a","\u0065mail":"b"}`, `{"Email":"a"}`,
		`{"email":null}`, `{"email":1}`, `{"email":["a"]}`, `{"email":{"a":"b"}}`, `{"email":"a"}x`, `{"email":"a",}`, "null", "[]", " \n{ } \t", "{\"email\":\"\xff\"}", `{"email":"\ud800"}`,
	} {
		f.Add(s)
	}
	names := []string{"email", "password"}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseJSON([]byte(text), names)
		if err != nil {
			if p != nil {
				t.Fatalf("%q: %v with %v", text, p, err)
			}
			return
		}
		var reference map[string]*string
		if err := json.Unmarshal([]byte(text), &reference); err != nil || reference == nil || len(reference) != len(p) {
			t.Fatalf("%q: %q, encoding/json has %v: %v", text, p, reference, err)
		}
		for name, value := range p {
			if r := reference[name]; !slices.Contains(names, name) || r == nil && value != "" || r != nil && *r != value || !utf8.ValidString(value) {
				t.Fatalf("%q: %q is %q", text, name, value)
			}
		}
	})
}

func FuzzBasic(f *testing.F) {
	for _, s := range []string{"", "Basic", "Basic ", "Basic c2hvcDpz", "basic  c2hvcDpz", "Basic Og==", "Basic OnM=", "Basic c2hvcA==", "Basic %", "Bearer a.b.c", "Basically c2hvcDpz", basic("a%3Ab", "c+d")[len("Authorization: "):]} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		id, secret, err := parseBasic([]string{field})
		if err != nil || id == "" {
			if secret != "" {
				t.Fatalf("%q: secret %q without a name", field, secret)
			}
			return
		}
		scheme, rest, _ := strings.Cut(field, " ")
		pair, decodeErr := base64.StdEncoding.DecodeString(strings.Trim(rest, " "))
		first, second, _ := strings.Cut(string(pair), ":")
		if !strings.EqualFold(scheme, "basic") || decodeErr != nil || !utf8.ValidString(id+secret) {
			t.Fatalf("%q: %q, %q", field, id, secret)
		}
		for encoded, decoded := range map[string]string{first: id, second: secret} {
			if got, err := url.QueryUnescape(encoded); first != second && (err != nil || got != decoded) {
				t.Fatalf("%q: %q is not %q", field, decoded, encoded)
			}
		}
	})
}
