package auth

import (
	"fmt"
	"slices"
	"time"
)

// attempt is the way of one request through the checks.
type attempt struct {
	gate   *Gate
	policy *Policy
	creds  Credentials
	unix   int64
	now    time.Time
	known  *known // what was found out for it; nil: nothing was asked
	trace  *[]Step

	key       *APIKey
	token     *Token
	presented Token // what token points to where it was remembered: no allocation of its own
	headers   []HeaderValue
	room      [3]HeaderValue // has the headers where they are no more: an object less
	covered   Kind           // what the credential was revoked by
	failed    string         // the scope, claim or header that was not met
	// question is set by a check that memory does not suffice for. The reason
	// that the check returns is what Decide answers.
	question question
}

// requestChecks are the checks of a request, in their order: credentials,
// revocation, authorization. What is known to be revoked is
// denied before the list's age is asked.
var requestChecks = []check[*attempt]{
	{"api key", (*attempt).checkAPIKey, (*attempt).describeAPIKey},
	{"bearer token", (*attempt).checkBearer, (*attempt).describeBearer},
	{"credentials presented", (*attempt).checkPresent, nil},
	{"api key not revoked", (*attempt).checkAPIKeyRevoked, nil},
	{"token not revoked", (*attempt).checkTokenRevoked, func(a *attempt) string {
		if a.covered == 0 {
			return ""
		}
		return "by " + a.covered.String()
	}},
	{"revocation list fresh", (*attempt).checkFresh, nil},
	{"api key allowed on route", (*attempt).checkAPIKeyRoute, func(a *attempt) string { return "route " + a.policy.Route }},
	{"client certificate", (*attempt).checkCertificate, (*attempt).describeCertificate},
	{"scopes", (*attempt).checkScopes, (*attempt).describeUnmet},
	{"claim rules", (*attempt).checkClaims, (*attempt).describeUnmet},
	{"claims fit headers", (*attempt).checkHeaders, (*attempt).describeUnmet},
}

// openChecks are those of a route that asks for no credentials.
var openChecks = []check[*attempt]{
	{"client certificate", (*attempt).checkCertificate, (*attempt).describeCertificate},
	{"claims fit headers", (*attempt).checkHeaders, (*attempt).describeUnmet},
}

func (a *attempt) checkAPIKey() Reason {
	if !a.policy.Mode.looksAtAPIKey() {
		return Undecided
	}
	if a.creds.apiKeyLines == 0 {
		if a.policy.Mode == Any {
			return Undecided
		}
		return APIKeyMissing
	}
	if a.creds.apiKeyLines > 1 {
		return APIKeyInvalid
	}
	key := a.gate.apiKeys.Find(a.creds.apiKey)
	if key == nil || key.expired(a.now) {
		return APIKeyInvalid
	}
	a.key = key
	return OK
}

func (a *attempt) describeAPIKey() string {
	switch {
	case a.key != nil:
		return fmt.Sprintf("id %q", a.key.ID)
	case a.creds.apiKeyLines > 1:
		return "more than one line"
	case a.creds.apiKeyLines == 1:
		return "unknown or expired"
	}
	return "none presented"
}

func (a *attempt) checkBearer() Reason {
	if !a.policy.Mode.looksAtBearer() {
		return Undecided
	}
	switch a.creds.bearerState {
	case bearerAbsent:
		if a.policy.Mode == Any {
			return Undecided
		}
		return TokenMissing
	case bearerMalformed:
		return TokenMalformed
	}
	token, reason := a.gate.token(a)
	if reason != OK {
		return reason
	}
	if a.creds.cookie != "" && a.creds.cookie != token.issuer.Cookie {
		return TokenUntrusted
	}
	a.token = token
	return OK
}

func (a *attempt) describeBearer() string {
	switch {
	case a.token != nil:
		return fmt.Sprintf("issuer %q, subject %q", a.token.issuer.Name, a.token.Subject())
	case a.creds.bearerState == bearerMalformed:
		return "more than one Authorization line, or no token behind the scheme"
	case a.creds.bearerState == bearerAbsent:
		return "none presented"
	}
	return ""
}

// checkPresent denies a request with neither credential where either would do.
func (a *attempt) checkPresent() Reason {
	if a.key == nil && a.token == nil {
		return TokenMissing
	}
	return OK
}

func (a *attempt) checkAPIKeyRevoked() Reason {
	if a.key == nil {
		return Undecided
	}
	return a.checkCovered(a.key, a.key.revocations, 0, APIKeyInvalid)
}

func (a *attempt) checkTokenRevoked() Reason {
	if a.token == nil {
		return Undecided
	}
	return a.checkCovered(a.token, a.token.revocations(), a.token.begun, TokenRevoked)
}

func (a *attempt) checkCovered(credential named, entries []revocable, begun int64, revoked Reason) Reason {
	a.covered, a.question = a.gate.covered(credential, entries, begun, a.unix, a.known)
	switch {
	case a.covered != 0:
		return revoked
	case a.question != nil:
		return StoreUnavailable
	}
	return OK
}

func (a *attempt) checkFresh() Reason {
	if a.gate.revocations.Stale(a.now) {
		return RevocationStale
	}
	return OK
}

func (a *attempt) checkAPIKeyRoute() Reason {
	if a.key == nil {
		return Undecided
	}
	if !a.key.opens(a.policy.Route) {
		return APIKeyForbidden
	}
	return OK
}

// checkScopes and checkClaims ask the token: a route that has such rules is
// not opened by an API key alone.
func (a *attempt) checkScopes() Reason {
	if len(a.policy.Scopes) == 0 {
		return Undecided
	}
	for _, scope := range a.policy.Scopes {
		if a.token == nil || !a.token.hasScope(scope) {
			a.failed = fmt.Sprintf("scope %q is missing", scope)
			return ScopeInsufficient
		}
	}
	return OK
}

func (a *attempt) checkClaims() Reason {
	if len(a.policy.Claims) == 0 {
		return Undecided
	}
	unmet := &a.policy.Claims[0]
	if a.token != nil {
		unmet = nil
		if v, _ := a.token.outcome(a.policy); v.unmet > 0 {
			unmet = &a.policy.Claims[v.unmet-1]
		}
	}
	if unmet != nil {
		a.failed = fmt.Sprintf("claim %q is none of %q", unmet.Claim, unmet.AnyOf)
		return ClaimForbidden
	}
	return OK
}

func (r *ClaimRule) met(c Claims) bool {
	all, _ := texts(c.Lookup(r.Claim))
	return slices.ContainsFunc(all, func(s string) bool { return slices.Contains(r.AnyOf, s) })
}

func (a *attempt) checkHeaders() Reason {
	f := a.policy.Forward
	if f == nil {
		return Undecided
	}
	a.headers = a.room[:0]
	add := func(name, value string) {
		a.headers = append(a.headers, HeaderValue{Name: name, Value: [1]string{value}})
	}
	if a.token != nil && len(f.Claims) > 0 {
		v, values := a.token.outcome(a.policy)
		if v.failed > 0 {
			a.failed = fmt.Sprintf("claim %q cannot be sent as a header", f.Claims[v.failed-1].path(a.token.issuer))
			return TokenClaims
		}
		sent := 0
		for value := range eachText(values) {
			if value != "" {
				add(f.Claims[sent].Header, value)
			}
			sent++
		}
	}
	if a.key != nil && f.APIKeyHeader != "" {
		add(f.APIKeyHeader, a.key.ID)
	}
	if c := a.creds.certificate; c != nil && f.CertificateHeader != "" {
		add(f.CertificateHeader, c.value)
	}
	return OK
}

func (a *attempt) describeUnmet() string { return a.failed }
