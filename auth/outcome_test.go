package auth

import (
	"fmt"
	"slices"
	"testing"
)

// Each route's rules and headers are its own, whichever route came first.
func TestRoutesDoNotShareOutcomes(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(map[string]any{"role": "reader", "tenant": "acme", "list": []string{"a"}})
	claim := func(name, header string) *Forward {
		return &Forward{Claims: []ClaimHeader{{Claim: name, Header: header}}}
	}
	rule := func(value string) []ClaimRule { return []ClaimRule{{Claim: "role", AnyOf: []string{value}}} }
	shared := claim("tenant", "X-Tenant")
	routes := []struct {
		rules   []ClaimRule
		forward *Forward
		want    Reason
		headers string
	}{
		{nil, shared, OK, `[{X-Tenant [acme]}]`},
		{rule("admin"), shared, ClaimForbidden, `[]`},
		{rule("reader"), shared, OK, `[{X-Tenant [acme]}]`},
		{rule("reader"), claim("role", "X-Role"), OK, `[{X-Role [reader]}]`},
		{rule("reader"), nil, OK, `[]`},
		{nil, claim("list", "X-List"), TokenClaims, `[]`}, // which text is not
	}
	policies := make([]*Policy, 0, 4*len(routes))
	for i := range cap(policies) { // more than are remembered
		p := *f.policy
		p.Claims, p.Forward = routes[i%len(routes)].rules, routes[i%len(routes)].forward
		policies = append(policies, &p)
	}
	for range 2 {
		for i, p := range policies {
			want := routes[i%len(routes)]
			for range 2 {
				d := f.gate.Decide(p, bearer(token), now)
				got := "["
				for _, h := range d.Headers {
					got += fmt.Sprintf("{%s %s}", h.Name, h.Value)
				}
				if got += "]"; d.Reason != want.want || got != want.headers {
					t.Fatalf("route %d: %s, headers %s, want %s and %s", i, d.Reason, got, want.want, want.headers)
				}
			}
		}
	}
	n := 0
	for o := f.decide(token).Principal.Token.outcomes.Load(); o != nil; o = o.next {
		n++
	}
	if n == 0 || n > maxOutcomes+1 {
		t.Errorf("%d outcomes are remembered", n)
	}
}

// What is remembered has no claims: they are read from what is presented again.
func TestClaimsOfARememberedToken(t *testing.T) {
	f := newFixture(t, "HS256")
	token := f.token(map[string]any{"n": 1.5})
	first, again := f.want(token, OK), f.decide(token)
	want := string(first.Principal.Token.Claims().JSON())
	if got := string(again.Principal.Token.Claims().JSON()); got != want || len(want) < 50 {
		t.Errorf("%s, want %s", got, want)
	}
	if again.Principal.Token.claims != nil {
		t.Error("the claims are remembered")
	}
}

// Lists of texts are what they were made of, and nothing that is in one can pass for
// two.
func TestScopesAsTheyCame(t *testing.T) {
	for scopes, want := range map[string][]string{
		`["read","write"]`:       {"read", "write"},
		`["read",""]`:            {"read", ""},
		`[""]`:                   {""},
		`[]`:                     nil,
		`["a\u0000admin","b"]`:   {"b"},
		`["a b"]`:                {"a b"},
		`"  read   write "`:      {"read", "write"},
		`"read\u0000admin last"`: {"last"},
	} {
		f := newFixture(t, "HS256")
		d := f.want(f.raw(f.header(), f.payload(`,"scp":`+scopes)), OK)
		if got := d.Principal.Token.Scopes(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", scopes, got, want)
		}
		for _, s := range []string{"read", "write", "admin", "a", "b", "", "a b", "last"} {
			if got := d.Principal.Token.hasScope(s); got != slices.Contains(want, s) {
				t.Errorf("%s has %q: %t", scopes, s, got)
			}
		}
	}
}

// The route that a token is first presented to needs no object of its own.
func TestFirstRouteIsForeseen(t *testing.T) {
	f := newFixture(t, "HS256")
	token, other := f.token(nil), *f.policy
	for range 2 {
		if f.want(token, OK).Principal.Token.outcomes.Load() != nil {
			t.Error("the first route is remembered besides")
		}
	}
	d := f.gate.Decide(&other, bearer(token), now)
	if o := d.Principal.Token.outcomes.Load(); o == nil || o.policy != &other {
		t.Errorf("another route is not remembered: %+v", o)
	}
}

// The first rule that is not met is the one that is named.
func TestUnmetRuleIsNamed(t *testing.T) {
	f := newFixture(t, "HS256")
	f.policy.Claims = []ClaimRule{{Claim: "sub", AnyOf: []string{"u1"}}, {Claim: "role", AnyOf: []string{"admin"}}, {Claim: "team", AnyOf: []string{"x"}}}
	token := f.token(map[string]any{"role": "reader", "team": "y"})
	f.want(token, ClaimForbidden)
	_, steps := f.gate.Explain(t.Context(), f.policy, bearer(token), now)
	if got := steps[len(steps)-1]; got.Check != "claim rules" || got.Detail != `claim "role" is none of ["admin"]` {
		t.Errorf("%+v", got)
	}
}
