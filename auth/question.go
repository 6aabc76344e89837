package auth

import (
	"context"
	"time"
)

// maxQuestions bounds how often one decision is put off: who the token is from,
// and whether it was revoked; what comes to be open while that is found out is
// worth one more.
const maxQuestions = 3

// question is what a decision needs to know and memory does not have. It asks
// whoever knows and notes the answer in known. The error says, for people, why
// there is no answer to be had: then the check's reason stands, which denies.
type question func(ctx context.Context, k *known) error

// known is what was found out for one decision, whether or not it is remembered
// for others.
type known struct {
	introspected *Introspected              // what its issuer says of the token; nil: not asked
	coverage     map[RevocationKey]Coverage // what the store says of entries that memory is unsure of
}

// answer is what the token's issuer says; nil: it was not asked.
func (k *known) answer() *Introspected {
	if k == nil {
		return nil
	}
	return k.introspected
}

// Open reports whether the decision could not be taken from memory alone. Its
// reason denies then; [Gate.Resolve] takes the decision.
func (d *Decision) Open() bool { return d.question != nil }

// Resolve decides as Decide does, and where that leaves the decision open it
// asks whoever knows, for as long as ctx and the limits of who is asked allow.
// What cannot be found out is a denial (StoreUnavailable, KeysUnavailable).
func (g *Gate) Resolve(ctx context.Context, p *Policy, c Credentials, now time.Time) Decision {
	return g.resolve(ctx, p, c, now, nil)
}

// resolve is Resolve; a trace gains the steps of the last decision.
func (g *Gate) resolve(ctx context.Context, p *Policy, c Credentials, now time.Time, trace *[]Step) Decision {
	var k known
	d := g.decide(p, c, now, &k, trace)
	for range maxQuestions {
		if !d.Open() {
			break
		}
		if err := d.question(ctx, &k); err != nil {
			if trace != nil { // the step that could not be taken is the last
				(*trace)[len(*trace)-1].Detail = err.Error()
			}
			break
		}
		if trace != nil {
			*trace = (*trace)[:0]
		}
		d = g.decide(p, c, now, &k, trace)
	}
	d.question = nil
	return d
}
