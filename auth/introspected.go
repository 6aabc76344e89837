package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Introspection asks an issuer about tokens that nobody else can read (RFC
// 7662). [gatehouse/auth/introspection.Client] is one.
type Introspection interface {
	// Inactive reports whether the issuer said so lately that the token is not
	// good that there is no need to ask again. It does not wait.
	Inactive(token string, now time.Time) bool
	// Ask asks the issuer. An error means that no answer can be had; it says
	// nothing of the token.
	Ask(ctx context.Context, token string) (*Introspected, error)
}

// Introspected is what an issuer says of a token. It is not changed.
type Introspected struct {
	Active bool
	Claims Claims // the whole answer, where the token is active
	// Until is when the issuer is to be asked again, in Unix seconds. What is not
	// later than the request is for that request alone.
	Until int64
}

// ParseIntrospected reads an issuer's answer (RFC 7662 §2.2). It refuses what is
// not one JSON object with each name once and a boolean `active`.
func ParseIntrospected(answer []byte) (*Introspected, error) {
	c, err := parseClaims(answer)
	if err != nil {
		return nil, errors.New("the answer is not one JSON object with each name once")
	}
	switch c.get("active").Kind() {
	case 't':
		return &Introspected{Active: true, Claims: c}, nil
	case 'f':
		return &Introspected{}, nil // what else it says is nobody's business
	}
	return nil, errors.New("the answer has no member `active` that is true or false")
}

// introspecting returns the issuer among those that has to be asked about its
// tokens, nil when there is none. A configuration has at most one for a route: a
// token is nobody's business but its issuer's.
func introspecting(issuers []*Issuer) *Issuer {
	for _, i := range issuers {
		if i.Introspection != nil {
			return i
		}
	}
	return nil
}

// isOpaque reports whether the token is not of the form of a JWS (RFC 7515 §7.1):
// three parts with dots between them.
func isOpaque(token string) bool { return strings.Count(token, ".") != 2 }

// introspectionChecks are those of a token that only its issuer can read. What
// the issuer answers is checked like what it would have signed.
var introspectionChecks = []check[*verification]{
	{"token form", (*verification).opaqueForm, func(v *verification) string {
		return fmt.Sprintf("%d bytes, opaque", len(v.compact))
	}},
	{"introspection", (*verification).introspect, func(v *verification) string { return v.expected }},
	{"token kind", (*verification).accessToken, func(v *verification) string {
		return fmt.Sprintf("token_type %s, token_use %s", v.token.claims.get("token_type"), v.token.claims.get("token_use"))
	}},
	{"token claims", (*verification).claims, describeClaims},
	{"token time", (*verification).time, describeTime},
	{"audience", (*verification).audience, describeAudience},
	{"required claims", (*verification).required, describeRequired},
}

// opaqueForm holds the token to the syntax of RFC 6750 §2.1.
func (v *verification) opaqueForm() Reason {
	text := strings.TrimRight(v.compact, "=")
	if text == "" || len(v.compact) > v.token.issuer.MaxTokenBytes {
		return TokenMalformed
	}
	for i := 0; i < len(text); i++ {
		if b := text[i]; !jwsChars[b] && b != '~' && b != '+' && b != '/' {
			return TokenMalformed
		}
	}
	return OK
}

// introspect takes what the issuer says of the token, and asks for it where
// nobody has yet.
func (v *verification) introspect() Reason {
	issuer := v.token.issuer
	answer := v.answer
	if answer == nil {
		if !v.explained && issuer.Introspection.Inactive(v.compact, time.Unix(v.unix, 0)) {
			return TokenUntrusted
		}
		v.question = func(ctx context.Context, k *known) (err error) {
			k.introspected, err = issuer.Introspection.Ask(ctx, v.compact)
			return err
		}
		return KeysUnavailable
	}
	v.expected = fmt.Sprintf("issuer %q answers active: %t", issuer.Name, answer.Active)
	if !answer.Active {
		return TokenUntrusted
	}
	v.token.claims = &answer.Claims
	v.token.opaque = &vouched{claims: answer.Claims, until: answer.Until}
	v.token.opaque.again.Store(answer.Until + reaskAfter)
	if iss := v.token.claims.get("iss"); iss != nil && !v.from(issuer) {
		v.expected += fmt.Sprintf(", but iss is %s", iss)
		return TokenUntrusted
	}
	return OK
}

// reaskAfter is for how many seconds more than a request a connection that goes on
// believes an answer, and how far apart its questions are when there is none.
const reaskAfter = 10

// reask is the question whether the token of a connection is still good, nil as
// long as that need not be asked.
func (t *Token) reask(unix int64, k *known) question {
	if t.opaque == nil || k.answer() != nil {
		return nil
	}
	again := &t.opaque.again
	if unix < again.Load() {
		return nil
	}
	return func(ctx context.Context, k *known) (err error) {
		again.Store(unix + reaskAfter) // whatever comes of it
		if k.introspected, err = t.issuer.Introspection.Ask(ctx, t.compact); err != nil {
			return err
		}
		again.Store(unix) // where it is not good, other connections with it end too
		if k.introspected.Active {
			again.Store(k.introspected.Until + reaskAfter)
		}
		return nil
	}
}

// tokenKinds are the members that say what a token is for, and what they may
// say. An issuer answers for refresh tokens too, which open nothing here, and for
// tokens that are bound to a key (RFC 9449), whose bearer proves nothing.
var tokenKinds = map[string][]string{
	"token_type": {"bearer", "access_token"},
	"token_use":  {"access_token", "access"},
}

func (v *verification) accessToken() Reason {
	for name, wanted := range tokenKinds {
		value := v.token.claims.Lookup(name)
		if value == nil {
			continue
		}
		s, _ := text(value)
		if !slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(w, s) }) {
			return TokenClaims
		}
	}
	return OK
}

// IntrospectionResult says what came of asking an issuer. It is a closed set: a
// metric's label.
type IntrospectionResult uint8

// The results.
const (
	IntrospectionFailed   IntrospectionResult = iota // there was no answer, or none that can be used
	IntrospectionActive                              // the token is good
	IntrospectionInactive                            // it is not
	IntrospectionBusy                                // as many calls as may be were under way already

	introspectionResultCount
)

var introspectionResults = [introspectionResultCount]string{
	IntrospectionFailed: "failed", IntrospectionActive: "active", IntrospectionInactive: "inactive", IntrospectionBusy: "busy",
}

// IntrospectionResults returns every result there is.
func IntrospectionResults() []IntrospectionResult {
	return []IntrospectionResult{IntrospectionFailed, IntrospectionActive, IntrospectionInactive, IntrospectionBusy}
}

// String returns the result's name.
func (r IntrospectionResult) String() string { return introspectionResults[r] }
