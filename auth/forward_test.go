package auth

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// headersOf returns what the decision sends upstream.
func headersOf(d Decision) map[string]string {
	m := map[string]string{}
	for _, h := range d.Headers {
		m[h.Name] = h.Value[0]
	}
	return m
}

func TestForwardedClaims(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Both
	f.policy.Forward = &Forward{APIKeyHeader: "X-Client-Id", Claims: []ClaimHeader{
		{Claim: "sub", Header: "X-User-Id"},
		{Claim: "email", Header: "X-User-Email"},
		{Claim: "realm.roles", Header: "X-User-Roles", Format: FormatCSV},
		{Claim: "https://example.com/org", Header: "X-Org", Format: FormatJSON},
		{Claim: "active", Header: "X-Active"},
		{Claim: "absent", Header: "X-Absent"},
		{Claim: "nothing", Header: "X-Nothing"},
	}}
	claims := `,"email":"a%b@example.com","realm":{"roles":["a","b é",7]},"https://example.com/org":{ "id" : 1e2, "n":"Zoë 😀","b":"~` + "\u007f\u0080\uffff\U00010000" + `" },"active":true,"nothing":null`
	creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.raw(f.header(), f.payload(claims))), "Api-Key")
	d := f.gate.Decide(f.policy, creds, now)
	want := map[string]string{
		"X-User-Id": "u1", "X-User-Email": "a%25b@example.com", "X-User-Roles": "a,b %C3%A9,7",
		"X-Org": `{"id":1e2,"n":"Zo\u00EB \uD83D\uDE00","b":"~\u007F\u0080\uFFFF\uD800\uDC00"}`, "X-Active": "true", "X-Client-Id": "web",
	}
	if got := headersOf(d); d.Reason != OK || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %q\nwant %q", d.Reason, got, want)
	}
	// Another route's headers for the same, remembered token.
	p := *f.policy
	p.Forward = &Forward{Claims: []ClaimHeader{{Claim: "sub", Header: "X-Sub"}}}
	if got := headersOf(f.gate.Decide(&p, creds, now)); !reflect.DeepEqual(got, map[string]string{"X-Sub": "u1"}) {
		t.Errorf("the other route sends %q", got)
	}
	if got := headersOf(f.gate.Decide(f.policy, creds, now)); !reflect.DeepEqual(got, want) {
		t.Errorf("the first route again sends %q", got)
	}
}

func TestH08H10ClaimsThatDoNotFitAHeader(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.MaxTokenBytes = 16 << 10
	for _, c := range []struct {
		claim  any
		format Format
		want   Reason
	}{
		{"a b", FormatText, OK},
		{" a", FormatText, TokenClaims},
		{"a ", FormatText, TokenClaims},
		{"a\tb", FormatText, TokenClaims},
		{"a\r\nb", FormatText, TokenClaims},
		{"a\x00", FormatText, TokenClaims},
		{strings.Repeat("x", maxHeaderValue), FormatText, OK},
		{strings.Repeat("x", maxHeaderValue+1), FormatText, TokenClaims},
		{strings.Repeat("é", maxHeaderValue/6), FormatText, OK},
		{strings.Repeat("é", maxHeaderValue/6+1), FormatText, TokenClaims}, // counted as sent
		{[]string{"a"}, FormatText, TokenClaims},
		{map[string]any{}, FormatText, TokenClaims},
		{[]string{"a", "b"}, FormatCSV, OK},
		{"a", FormatCSV, OK},
		{[]string{}, FormatCSV, OK},
		{[]string{"a,b"}, FormatCSV, TokenClaims},
		{[]string{",a"}, FormatCSV, TokenClaims},
		{[]string{"a", ""}, FormatCSV, TokenClaims},
		{[]string{"a\n"}, FormatCSV, TokenClaims},
		{[]any{"a", []string{"b"}}, FormatCSV, TokenClaims},
		{map[string]any{"a": "b"}, FormatCSV, TokenClaims},
		{"line\nend", FormatJSON, OK}, // JSON escapes it
		{map[string]any{"a": strings.Repeat("x", maxHeaderValue)}, FormatJSON, TokenClaims},
	} {
		f.policy.Forward = &Forward{Claims: []ClaimHeader{{Claim: "c", Header: "X-C", Format: c.format}}}
		f.want(f.token(map[string]any{"c": c.claim}), c.want)
	}
	var all []ClaimHeader
	claims := map[string]any{}
	for i := range maxHeaderValues/maxHeaderValue + 1 {
		name := fmt.Sprintf("c%d", i)
		all = append(all, ClaimHeader{Claim: name, Header: "X-" + name})
		claims[name] = strings.Repeat("x", maxHeaderValue)
	}
	f.policy.Forward = &Forward{Claims: all[1:]}
	f.want(f.token(claims), OK)
	f.build() // a policy does not change under a gate
	f.policy.Forward = &Forward{Claims: all}
	f.want(f.token(claims), TokenClaims)
}

func TestHeadersAreNotSharedForWriting(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode = Any
	token := f.token(nil)
	with := Extract(header("Api-Key: web-key", "Authorization: Bearer "+token), "Api-Key")
	if got := headersOf(f.gate.Decide(f.policy, with, now)); got["X-Client-Id"] != "web" {
		t.Errorf("%q", got)
	}
	if got := headersOf(f.decide(token)); len(got) != 1 {
		t.Errorf("without an API key: %q", got)
	}
	for _, h := range f.gate.Decide(f.policy, with, now).Headers {
		if cap(h.Value) != 1 {
			t.Errorf("appending to %s would write into what others read", h.Name)
		}
	}
}

func TestNothingToForward(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Mode, f.policy.Forward = Any, nil
	creds := Extract(header("Api-Key: web-key", "Authorization: Bearer "+f.token(nil)), "Api-Key")
	if d := f.gate.Decide(f.policy, creds, now); d.Reason != OK || d.Headers != nil {
		t.Errorf("%s, headers %q", d.Reason, headersOf(d))
	}
}
