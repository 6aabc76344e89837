package auth

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// step finds the step of a check, the zero Step when it was not taken.
func step(steps []Step, check string) Step {
	for _, s := range steps {
		if s.Check == check {
			return s
		}
	}
	return Step{}
}

func TestExplainSteps(t *testing.T) {
	f := newFixture(t, "HS256")
	f.issuer.Required = []string{"sub", "tenant"}
	good := "Authorization: Bearer " + f.token(map[string]any{"tenant": "acme", "sid": "s1", "roles": "staff"})
	signed := func(changes map[string]any) string { return "Authorization: Bearer " + f.token(changes) }
	otherKey := *f.key
	otherKey.ID = "k2"
	kept := f.key
	f.key = &otherKey
	unknownKid := signed(nil)
	f.key = kept
	rules := *f.policy
	rules.Claims = []ClaimRule{{Claim: "roles", AnyOf: []string{"admin"}}}
	unsendable := *f.policy
	unsendable.Forward = &Forward{Claims: []ClaimHeader{{Claim: "aud", Header: "X-Aud"}, {Claim: "list", Header: "X-List"}}}
	anyAudience := *f.issuer
	anyAudience.AnyAudience = true
	open := *f.policy
	open.Issuers = []*Issuer{&anyAudience}
	for _, c := range []struct {
		policy *Policy
		mode   Mode
		lines  []string
		check  string
		result string
		detail string
	}{
		{f.policy, None, nil, "credentials", "skipped", "the route asks for none"},
		{f.policy, Both, nil, "api key", "api_key_missing", "none presented"},
		{f.policy, Both, []string{"Api-Key: x"}, "api key", "api_key_invalid", "unknown or expired"},
		{f.policy, Both, []string{"Api-Key: x", "Api-Key: y"}, "api key", "api_key_invalid", "more than one line"},
		{f.policy, Both, []string{"Api-Key: web-key"}, "api key", "ok", `id "web"`},
		{f.policy, Both, []string{"Api-Key: web-key"}, "bearer token", "token_missing", "none presented"},
		{f.policy, BearerOnly, nil, "api key", "skipped", "none presented"},
		{f.policy, BearerOnly, []string{good, good}, "bearer token", "token_malformed", "more than one Authorization line"},
		{f.policy, BearerOnly, []string{signed(map[string]any{"exp": 1})}, "bearer token", "token_expired", ""},
		{f.policy, BearerOnly, []string{good}, "bearer token", "ok", `issuer "main", subject "u1"`},
		{f.policy, BearerOnly, []string{"Authorization: Bearer a.b"}, "token form", "token_malformed", "3 bytes, 2 parts"},
		{f.policy, BearerOnly, []string{good}, "token header", "ok", `alg "HS256", kid "k1", typ "JWT"`},
		{f.policy, BearerOnly, []string{good}, "signature and issuer", "ok", `issuer "main", key "k1"`},
		{f.policy, BearerOnly, []string{signed(map[string]any{"iss": "x"})}, "signature and issuer", "token_untrusted", `iss "x" is not that key's issuer`},
		{f.policy, BearerOnly, []string{good[:len(good)-4] + "AAAA"}, "signature and issuer", "token_untrusted", "1 key(s) fit, none made this signature"},
		{f.policy, BearerOnly, []string{unknownKid}, "signature and issuer", "token_untrusted", `no key with kid "k2" and algorithm "HS256"`},
		{f.policy, BearerOnly, []string{good}, "token claims", "ok", `sub "u1", jti "t1", sid "s1"`},
		{f.policy, BearerOnly, []string{signed(map[string]any{"exp": 1})}, "token time", "token_expired", "now 2026-03-01T12:00:00Z, exp 1970-01-01T00:00:01Z, leeway 10s, longest life 24h0m0s"},
		{f.policy, BearerOnly, []string{signed(map[string]any{"aud": "x"})}, "audience", "token_audience", `aud "x", wanted one of ["api" "api2"]`},
		{&open, BearerOnly, []string{good}, "audience", "ok", "any audience is accepted"},
		{f.policy, BearerOnly, []string{signed(nil)}, "required claims", "token_claims", "sub, tenant"},
		{f.policy, BearerOnly, []string{good}, "api key not revoked", "skipped", ""},
		{f.policy, BearerOnly, []string{good}, "token not revoked", "ok", ""},
		{f.policy, BearerOnly, []string{signed(map[string]any{"tenant": "x", "jti": "dead"})}, "token not revoked", "token_revoked", "by jti"},
		{f.policy, APIKeyOnly, []string{"Api-Key: other-key"}, "api key allowed on route", "api_key_forbidden", "route orders"},
		{f.policy, APIKeyOnly, []string{"Api-Key: web-key"}, "scopes", "skipped", ""},
		{f.policy, APIKeyOnly, []string{"Api-Key: web-key"}, "claim rules", "skipped", ""},
		{&rules, BearerOnly, []string{good}, "claim rules", "claim_forbidden", `claim "roles" is none of ["admin"]`},
		{&unsendable, BearerOnly, []string{signed(map[string]any{"tenant": "x", "list": []int{1}})}, "claims fit headers", "token_claims", `claim "list" cannot be sent as a header`},
	} {
		f.list.entries = nil
		f.list.add(Revocation{Kind: KindToken, Issuer: "main", ID: "dead"})
		p := *c.policy
		p.Mode = c.mode
		_, steps := f.gate.Explain(t.Context(), &p, Extract(header(c.lines...), "Api-Key"), now)
		got := step(steps, c.check)
		if got.Result != c.result || !strings.Contains(got.Detail, c.detail) || c.detail == "" && got.Detail != "" {
			t.Errorf("%s %.30q: %+v, want %s %q", c.mode, c.lines, got, c.result, c.detail)
		}
	}
}

// Whatever a person pastes, the report can be written as JSON.
func TestInspectShowsWhatCanBeRead(t *testing.T) {
	f := newFixture(t, "HS256")
	segment := func(s string) string { return encoding.EncodeToString([]byte(s)) }
	for _, c := range []struct{ token, header, claims string }{
		{segment(`{"alg":"none"}`) + "." + segment(`{"sub":"u1"}`) + ".", `{"alg":"none"}`, `{"sub":"u1"}`},
		{segment(`{"alg":"HS256"}`) + "." + segment(`{"sub"`) + ".AA", `{"alg":"HS256"}`, ""},
		{segment("\x00") + "." + loosen(segment("{}  ")) + ".AA", "", ""},
		{"\n" + segment(`{"alg":"HS256"}`) + ".e30.AA", "", ""},
		{"", "", ""},
	} {
		r, _ := f.gate.Inspect(t.Context(), c.token, now)
		if string(r.Header) != c.header || string(r.Claims) != c.claims || r.Reason == OK {
			t.Errorf("%q: %s, header %q, claims %q", c.token, r.Reason, r.Header, r.Claims)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%q: %v", c.token, err)
		}
	}
}

// loosen sets a bit of a base64url text that is no part of what it encodes.
func loosen(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + string(alphabet[last^1])
}

func TestExplainTellsWhatFailed(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Scopes = []string{"orders:write"}
	_, steps := f.gate.Explain(t.Context(), f.policy, bearer(f.token(nil)), now)
	last := steps[len(steps)-1]
	if last.Check != "scopes" || last.Result != "scope_insufficient" || !strings.Contains(last.Detail, "orders:write") {
		t.Errorf("%+v", last)
	}
	if steps[0].Result != Skipped {
		t.Errorf("the API key, which the route does not look at: %+v", steps[0])
	}
}

func TestInspect(t *testing.T) {
	f := newFixture(t, "HS256")
	r, steps := f.gate.Inspect(t.Context(), f.token(nil), now)
	if r.Reason != OK || !strings.Contains(string(r.Header), "HS256") || !strings.Contains(string(r.Claims), `"u1"`) {
		t.Errorf("%+v", r)
	}
	names := []string{}
	for _, s := range steps {
		names = append(names, s.Check)
	}
	for _, want := range []string{"token form", "token header", "signature and issuer", "token claims", "token time", "audience", "token not revoked"} {
		if !slices.Contains(names, want) {
			t.Errorf("no step %q in %q", want, names)
		}
	}
	if r, _ := f.gate.Inspect(t.Context(), f.token(map[string]any{"exp": 1}), now); r.Reason != TokenExpired || r.Claims == nil {
		t.Errorf("%+v", r)
	}
	if r, _ := f.gate.Inspect(t.Context(), "not a token", now); r.Reason != TokenMalformed || r.Claims != nil {
		t.Errorf("%+v", r)
	}
}
