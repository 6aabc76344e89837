package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"
)

// GateConfig is what a Gate decides by.
type GateConfig struct {
	APIKeys     *APIKeys
	Issuers     []*Issuer
	Revocations RevocationList
	CacheBytes  int // bound on remembered tokens; 0: none is remembered
}

// Gate decides about requests. It belongs to one configuration: another makes
// another Gate, so that nothing which was remembered outlives what it was
// checked against.
type Gate struct {
	apiKeys     *APIKeys
	issuers     []*Issuer
	revocations RevocationList
	tokens      *otter.Cache[fingerprint, *verified] // nil: none is remembered
	fingerprint func(compact string) fingerprint
}

// NewGate returns the Gate for a configuration. It fails when a part is
// missing.
func NewGate(cfg GateConfig) (*Gate, error) {
	if cfg.APIKeys == nil || cfg.Revocations == nil {
		return nil, errors.New("auth: a gate needs API keys and a revocation list")
	}
	g := &Gate{apiKeys: cfg.APIKeys, issuers: cfg.Issuers, revocations: cfg.Revocations}
	if cfg.CacheBytes > 0 {
		cache, err := otter.New(&otter.Options[fingerprint, *verified]{
			MaximumWeight: uint64(cfg.CacheBytes),
			Weigher:       weigh,
			// Maintenance runs where it falls due: the package starts no goroutine.
			Executor: func(task func()) { task() },
		})
		if err != nil {
			return nil, fmt.Errorf("auth: making the token cache: %w", err)
		}
		g.tokens = cache
		if g.fingerprint, err = newFingerprints(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// weigh estimates in bytes what is remembered of one token: its texts, and around
// them the record, the cache's own, and the headers for further routes, in which
// nearly all of the claims may be.
func weigh(_ fingerprint, t *verified) uint32 {
	n := 512 + int(t.size) + len(t.texts)
	if t.opaque != nil {
		n += len(t.opaque.claims.data) + 16*cap(t.opaque.claims.members)
	}
	if t.issuer.Renew != nil {
		n += 1024 // its successor
	}
	return uint32(n)
}

// Decision is the outcome for one request. The zero value denies.
type Decision struct {
	Reason    Reason
	Principal Principal
	// Headers are to be set on the upstream's request, after every managed
	// name was removed from it.
	Headers []HeaderValue
	// RenewalDue tells that a successful response should carry a renewed token.
	RenewalDue bool

	question question // nil: nothing is open
}

// Principal is who is calling.
type Principal struct {
	APIKeyID string // empty: no API key was verified
	Token    *Token // nil: no bearer token was verified

	key *APIKey // the one with that id which was presented
}

// Decide decides about a request to a route with that policy. It neither
// blocks nor fails; what memory cannot tell it leaves [Decision.Open].
func (g *Gate) Decide(p *Policy, c Credentials, now time.Time) Decision {
	return g.decide(p, c, now, nil, nil)
}

// Explain decides as Resolve does, by the same checks, and tells of each. It
// remembers nothing and uses nothing remembered.
func (g *Gate) Explain(ctx context.Context, p *Policy, c Credentials, now time.Time) (Decision, []Step) {
	steps := []Step{}
	d := g.resolve(ctx, p, c, now, &steps)
	return d, steps
}

func (g *Gate) decide(p *Policy, c Credentials, now time.Time, k *known, trace *[]Step) Decision {
	checks := requestChecks
	if p.Mode == None {
		if trace != nil {
			*trace = append(*trace, Step{Check: "credentials", Result: Skipped, Detail: "the route asks for none"})
		}
		if !p.looksAtCertificate() {
			return Decision{Reason: OK}
		}
		checks = openChecks
	}
	a := &attempt{gate: g, policy: p, creds: c, now: now, unix: now.Unix(), known: k, trace: trace}
	d := Decision{Reason: run(checks, a, trace), question: a.question}
	if a.key != nil {
		d.Principal.APIKeyID, d.Principal.key = a.key.ID, a.key
	}
	d.Principal.Token = a.token
	if d.Reason == OK {
		d.Headers = a.headers
		d.RenewalDue = p.Renew && a.token != nil && a.token.renewalDue(now)
	}
	return d
}

// token verifies a token, or remembers that it was verified. Remembered is who
// it is from, not that it is good: time is checked here, revocation and the
// route's rules by the checks that follow.
func (g *Gate) token(a *attempt) (*Token, Reason) {
	issuers, compact := a.policy.Issuers, a.creds.bearer
	remember := g.tokens != nil && a.trace == nil
	var name fingerprint
	if remember {
		name = g.fingerprint(compact)
		if t, ok := g.tokens.GetIfPresent(name); ok && t.stands(a.unix) && slices.Contains(issuers, t.issuer) {
			a.presented = Token{verified: t, compact: compact}
			if reason := t.inTime(a.unix); reason != OK {
				return nil, reason
			}
			return &a.presented, t.refused
		}
	}
	v := &verification{issuers: issuers, unix: a.unix, compact: compact, token: &Token{verified: new(verified), compact: compact}}
	checks := verificationChecks
	if i := introspecting(issuers); i != nil && isOpaque(compact) {
		checks, v.token.issuer, v.answer, v.explained = introspectionChecks, i, a.known.answer(), a.trace != nil
	}
	reason := run(checks, v, a.trace)
	if !v.read {
		a.question = v.question
		return nil, reason
	}
	if t := v.token.verified; remember && t.stands(a.unix) {
		v.token.refused = v.refused()
		v.token.foresee(a.policy)
		// All requests with one token share what is remembered of it, so that it
		// is renewed once.
		shared, _ := g.tokens.SetIfAbsent(name, t)
		if !slices.Contains(issuers, shared.issuer) || !shared.stands(a.unix) {
			shared = t
			g.tokens.Set(name, shared)
		}
		v.token.verified = shared
	}
	return v.token, reason
}

// stands reports whether what is remembered of a token may be used: its issuer
// still has the key, or need not be asked about it again.
func (t *verified) stands(unix int64) bool {
	return t.held() && (t.opaque == nil || unix < t.opaque.until)
}

// APIKey tells whose API key was presented, wherever that was: its id, or why it
// is not good, as a request that presents it would be told. Which routes it opens
// is not asked.
func (g *Gate) APIKey(presented string, now time.Time) (id string, reason Reason) {
	k := g.apiKeys.Find(presented)
	if k == nil {
		return "", APIKeyInvalid
	}
	if reason := g.Recheck(Principal{APIKeyID: k.ID, key: k}, now); reason != OK {
		return "", reason
	}
	if g.revocations.Stale(now) {
		return "", RevocationStale
	}
	return k.ID, OK
}

// Recheck tells whether a principal that was let in may stay, for connections
// that live longer than a request: OK, APIKeyInvalid, TokenExpired,
// TokenUntrusted (its key is gone) or TokenRevoked; StoreUnavailable where memory
// does not suffice, see [Gate.Reconfirm].
func (g *Gate) Recheck(p Principal, now time.Time) Reason {
	reason, _ := g.recheck(p, now, nil)
	return reason
}

// Reconfirm is Recheck, and asks the store or the issuer where memory does not
// suffice.
func (g *Gate) Reconfirm(ctx context.Context, p Principal, now time.Time) Reason {
	var k known
	reason, open := g.recheck(p, now, &k)
	for range maxQuestions {
		if open == nil || open(ctx, &k) != nil {
			break
		}
		reason, open = g.recheck(p, now, &k)
	}
	return reason
}

func (g *Gate) recheck(p Principal, now time.Time, k *known) (Reason, question) {
	unix := now.Unix()
	var open question
	if key := p.key; key != nil {
		if key.expired(now) || !g.apiKeys.holds(key) {
			return APIKeyInvalid, nil
		}
		var by Kind
		if by, open = g.covered(key, key.revocations, 0, unix, k); by != 0 {
			return APIKeyInvalid, nil
		}
	}
	if t := p.Token; t != nil {
		if !t.held() {
			return TokenUntrusted, nil
		}
		if reason := t.inTime(unix); reason != OK {
			return reason, nil
		}
		by, more := g.covered(t, t.revocations(), t.begun, unix, k)
		if by != 0 {
			return TokenRevoked, nil
		}
		if k.answer() != nil && !k.answer().Active {
			return TokenUntrusted, nil
		}
		if open == nil {
			open = more
		}
		if open == nil {
			open = t.reask(unix, k)
		}
	}
	if open != nil {
		return StoreUnavailable, open
	}
	return OK, nil
}
