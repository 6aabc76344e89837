package auth

// outcome is what a route's rules about claims, and what it tells its upstream,
// come to for one token. Neither the rules nor the claims ever change, so that
// this is found out once.
type outcome struct {
	policy *Policy
	next   *outcome // of a route that was asked for before; nil: none is remembered
	values string   // of the claims that are sent, see [Forward.render]
	verdict
}

// verdict names what of a policy stands in a token's way, counted from 1; 0: nothing.
type verdict struct {
	unmet  uint32 // the rule about claims
	failed uint32 // the claim that cannot be sent
}

// maxOutcomes bounds what is remembered of one token besides its first. Behind that
// many routes it begins anew.
const maxOutcomes = 8

// outcome returns what a route's policy comes to for the token.
func (t *Token) outcome(p *Policy) (verdict, string) {
	if t.first == p {
		return t.foreseen, t.text(textValues)
	}
	latest := t.outcomes.Load()
	n := 0
	for o := latest; o != nil; o = o.next {
		if o.policy == p {
			return o.verdict, o.values
		}
		n++
	}
	o := &outcome{policy: p}
	o.verdict, o.values = t.find(p)
	if n < maxOutcomes {
		o.next = latest
	}
	t.outcomes.CompareAndSwap(latest, o) // one that comes too late is found out again
	return o.verdict, o.values
}

// foresee finds out what comes of the route that a token is first presented to,
// before it is shared.
func (t *Token) foresee(p *Policy) {
	var values string
	t.foreseen, values = t.find(p)
	t.first = p
	t.texts += values
	t.ends[textValues] = uint32(len(t.texts))
}

// find reads the claims.
func (t *Token) find(p *Policy) (v verdict, values string) {
	claims := t.Claims()
	for i := range p.Claims {
		if !p.Claims[i].met(claims) {
			v.unmet = uint32(i + 1)
			break
		}
	}
	if p.Forward != nil {
		values, v.failed = p.Forward.render(claims, t.issuer)
	}
	return v, values
}
