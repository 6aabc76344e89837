package auth

import (
	"strings"
	"testing"
)

func TestT04OtherSchemes(t *testing.T) {
	schemes := []string{"Digest", "Bearex", "xBearer", "", "Token", "Basic"} // Digest is as long as Bearer
	for _, next := range "azAZ09!#$%&'*+-.^_`|~" {
		schemes = append(schemes, "Bearer"+string(next)) // every byte that goes on with the name
	}
	for _, scheme := range schemes {
		if token, state := parseBearer(scheme + " a.b.c"); state != bearerAbsent || token != "" {
			t.Errorf("%q: state %d, token %q", scheme, state, token)
		}
	}
	for _, next := range "@[{/:,;=\"()<>?\\\t" {
		if token, state := parseBearer("Bearer" + string(next) + " a.b.c"); state != bearerMalformed || token != "" {
			t.Errorf("Bearer%c: state %d, token %q", next, state, token)
		}
	}
}

func TestSplit(t *testing.T) {
	for token, want := range map[string]bool{
		"a.b.c": true, "A-_.b9.c0": true, "a.b.": true,
		"": false, ".": false, "..": false, "a": false, "a.b": false, ".b.c": false, "a..c": false,
		"a.b.c.": false, "a.b.c.d": false, "a.b..d": false, ".a.b.c": false,
		"\na.b.c": false, "a.b.c\n": false, "a.b\r.c": false, "a.b.c=": false, "a.b.é": false,
	} {
		h, p, s, ok := split(token, 64)
		if ok != want || ok && h+"."+p+"."+s != token {
			t.Errorf("%q: %q %q %q %t", token, h, p, s, ok)
		}
	}
	// J25: nothing of a token that is too long is looked at.
	long := "a.b." + strings.Repeat("c", 60)
	if _, _, _, ok := split(long, len(long)); !ok {
		t.Error("a token of the longest permitted length is refused")
	}
	if h, p, s, ok := split(long, len(long)-1); ok || h+p+s != "" {
		t.Error("a token that is too long was split")
	}
}

func TestParseBearer(t *testing.T) {
	for field, want := range map[string]bearerState{
		"Bearer a.b.c": bearerPresent, "bearer a.b.c": bearerPresent, "BEARER a.b.c": bearerPresent, "bEaReR    a.b.c": bearerPresent,
		"Bearer": bearerMalformed, "Bearer ": bearerMalformed, "Bearer\ta.b.c": bearerMalformed, "Bearer\u00a0a": bearerMalformed,
		"Bearer:a.b.c": bearerMalformed, "Bearer,a.b.c": bearerMalformed, "Bearer=a": bearerMalformed,
		"a.b.c": bearerAbsent, "Token a.b.c": bearerAbsent, "Basic dTpw": bearerAbsent, "BearerX a.b.c": bearerAbsent, "Bearer-Token a": bearerAbsent,
		"": bearerAbsent, "Bear": bearerAbsent,
	} {
		token, state := parseBearer(field)
		if state != want || (state == bearerPresent) != (token == "a.b.c") {
			t.Errorf("%q: state %d, token %q", field, state, token)
		}
	}
}

func TestT01SeveralAuthorizationLines(t *testing.T) {
	f := newFixture(t, "HS256")
	good := "Authorization: Bearer " + f.token(nil)
	for _, lines := range [][]string{{good, good}, {good, "Authorization: Basic dTpw"}, {"Authorization: ", good}} {
		if d := f.gate.Decide(f.policy, Extract(header(lines...), "Api-Key"), now); d.Reason != TokenMalformed {
			t.Errorf("%.40q: %s", lines, d.Reason)
		}
	}
}

func TestT02SeveralTokensInOneLine(t *testing.T) {
	f := newFixture(t, "HS256")
	good := f.token(nil)
	for _, field := range []string{"Bearer " + good + ", Bearer " + good, "Bearer " + good + "," + good, "Bearer " + good + " " + good, "Bearer " + good + ";"} {
		if d := f.gate.Decide(f.policy, Extract(header("Authorization: "+field), "Api-Key"), now); d.Reason != TokenMalformed {
			t.Errorf("%.40q: %s", field, d.Reason)
		}
	}
}
