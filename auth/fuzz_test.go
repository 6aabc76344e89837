package auth

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer a.b.c", "bearer  x", "Bearer", "Basic dTpw", "Bearer\ta", "BEARER a,b", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		token, state := parseBearer(field)
		if state != bearerPresent {
			if token != "" {
				t.Fatalf("%q: state %d with token %q", field, state, token)
			}
			return
		}
		scheme, rest, _ := strings.Cut(field, " ")
		if !strings.EqualFold(scheme, "bearer") || strings.TrimLeft(rest, " ") != token || token == "" {
			t.Fatalf("%q gave %q", field, token)
		}
		if h, p, s, ok := split(token, 4096); ok {
			if h+"."+p+"."+s != token || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
				t.Fatalf("%q split into %q %q %q", token, h, p, s)
			}
		}
	})
}

// FuzzVerify changes a good token: only the good one may pass.
func FuzzVerify(f *testing.F) {
	fix := newFixture(f, "HS256")
	good := fix.token(nil)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(fix.raw(`{"alg":"none"}`, fix.payload("")))
	f.Add(fix.raw(fix.header(), fix.payload(`,"a":[1,{"b":null}]`)))
	f.Add("e30.e30.AA")
	f.Fuzz(func(t *testing.T, token string) {
		d := fix.gate.Decide(fix.policy, Credentials{bearer: token, bearerState: bearerPresent}, now)
		e, _ := fix.gate.Explain(t.Context(), fix.policy, Credentials{bearer: token, bearerState: bearerPresent}, now)
		if d.Reason != e.Reason || d.Reason.Status() >= 500 {
			t.Fatalf("decided %s, explained %s", d.Reason, e.Reason)
		}
		if d.Reason != OK {
			return
		}
		h, p, s, _ := split(token, 1<<20)
		signature, err := encoding.DecodeString(s)
		if err != nil || !fix.key.verifySignature(h+"."+p, signature) {
			t.Fatalf("%q passed", token)
		}
	})
}

// FuzzClaims parses what encoding/json must agree about, and renders it.
func FuzzClaims(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"a":2}`, `{"sub":"u1","n":1.0e3,"r":["a","b"]}`, `{"a":{"b":{"c":"d"}}}`, `{"a.b":"c"}`, "{\"a\":\"\xff\"}", `{"su\u0062":"u1"}`, `{"\u0061":1,"a":2}`, `{"a":"\ud800"}`, `null`, `{} x`} {
		f.Add(s, "a.b", uint8(0))
	}
	f.Fuzz(func(t *testing.T, text, path string, format uint8) {
		data := []byte(text)
		c, err := parseClaims(data)
		if !bytes.Equal(data, []byte(text)) {
			t.Fatal("parsing changed its input")
		}
		var reference map[string]json.RawMessage
		if referenceErr := json.Unmarshal(data, &reference); err == nil && (referenceErr != nil || len(reference) != len(c.members)) {
			t.Fatalf("%q: %d members, encoding/json has %d: %v", text, len(c.members), len(reference), referenceErr)
		}
		if err != nil {
			return
		}
		for name, raw := range reference {
			if got := c.get(name); !bytes.Equal(got, raw) {
				t.Fatalf("%q: %q is %q, encoding/json has %q", text, name, got, raw)
			}
		}
		if v := c.Lookup(path); v != nil && !json.Valid(v) {
			t.Fatalf("%q at %q gave %q", text, path, v)
		}
		forward := &Forward{Claims: []ClaimHeader{{Claim: path, Header: "X-A", Format: Format(format % uint8(formatCount))}}}
		values, _ := forward.render(c, &Issuer{SubjectClaim: "sub"})
		for v := range eachText(values) {
			checkHeaderValue(t, v)
		}
	})
}

// FuzzHeaderValue encodes text for a header and decodes it again.
func FuzzHeaderValue(f *testing.F) {
	for _, s := range []string{"", "a", " a", "é", "100%", "a\nb", "\x7f", "%C3%A9", "😀"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		encoded, ok := encodeHeader(s)
		if !ok {
			return
		}
		checkHeaderValue(t, encoded)
		if back, err := url.PathUnescape(encoded); err != nil || back != s {
			t.Fatalf("%q became %q, which decodes to %q: %v", s, encoded, back, err)
		}
	})
}

func checkHeaderValue(t *testing.T, v string) {
	t.Helper()
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			t.Fatalf("byte %#x in header value %q", v[i], v)
		}
	}
	if v != strings.Trim(v, " ") {
		t.Fatalf("spaces at the edge of %q", v)
	}
}
