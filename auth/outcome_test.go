package auth

import (
	"fmt"
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

// Routes that send the same make it once.
func TestSameHeadersAreMadeOnce(t *testing.T) {
	f := newFixture(t, "HS256")
	token, other := f.token(nil), *f.policy
	first, again, second := f.decide(token), f.decide(token), f.gate.Decide(&other, bearer(token), now)
	if len(first.Headers) != 1 || &first.Headers[0] != &again.Headers[0] || &first.Headers[0] != &second.Headers[0] {
		t.Error("headers are made again")
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
