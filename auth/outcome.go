package auth

// outcome is what a route's rules about claims, and what it tells its upstream,
// come to for one token. Neither the rules nor the claims ever change, so that
// this is found out once.
type outcome struct {
	policy *Policy
	next   *outcome   // of a route that was asked for before; nil: none is remembered
	unmet  *ClaimRule // nil: the claims meet all rules

	headers []HeaderValue  // the claims that are sent; not to be changed
	failed  string         // the claim that cannot be; empty: all can
	few     [2]HeaderValue // has the headers where they are no more: an object less
}

// maxOutcomes bounds what is remembered of one token. Behind that many routes it
// begins anew.
const maxOutcomes = 8

// outcome returns what a route's policy comes to for the token.
func (t *Token) outcome(p *Policy) *outcome {
	latest := t.outcomes.Load()
	n := 0
	for o := latest; o != nil; o = o.next {
		if o.policy == p {
			return o
		}
		n++
	}
	o := t.find(p, latest)
	if n < maxOutcomes {
		o.next = latest
	}
	t.outcomes.CompareAndSwap(latest, o) // one that comes too late is found out again
	return o
}

// find reads the claims. Routes that send the same share what is sent.
func (t *Token) find(p *Policy, latest *outcome) *outcome {
	o, claims := &outcome{policy: p}, t.Claims()
	for i := range p.Claims {
		if rule := &p.Claims[i]; !rule.met(claims) {
			o.unmet = rule
			break
		}
	}
	if p.Forward == nil {
		return o
	}
	for other := latest; other != nil; other = other.next {
		if other.policy.Forward == p.Forward {
			o.headers, o.failed = other.headers, other.failed
			return o
		}
	}
	o.headers, o.failed = p.Forward.render(claims, t.verified, o.few[:])
	return o
}
