package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on what an unverified token can make us do.
const (
	maxTokenHeader = 1 << 10 // bytes of the JOSE header segment
	maxKid         = 128     // bytes
	maxTries       = 4       // signatures checked for one token whose key is not named; see tries
)

// verification is the way of one token from bytes to a Token.
type verification struct {
	issuers  []*Issuer
	unix     int64
	compact  string
	tried    int
	spent    int    // of maxTries
	untried  bool   // there are more keys that fit
	read     bool   // its claims could be: all that is left to say is when it is good, and for whom
	expected string // for the trace: what the search for who vouches for it found

	// Of a token that only its issuer can read; see introspectionChecks.
	answer    *Introspected // what the issuer says; nil: not asked
	explained bool          // nothing remembered is to be used
	question  question      // nil: nothing is to be asked

	header, payload, signature string
	alg, kid, typ              string
	hasKid                     bool
	token                      *Token
}

// The order matters: form and header are cheap, then the signature, and only
// what is signed is parsed further.
var verificationChecks = []check[*verification]{
	{"token form", (*verification).form, func(v *verification) string {
		return fmt.Sprintf("%d bytes, %d parts", len(v.compact), strings.Count(v.compact, ".")+1)
	}},
	{"token header", (*verification).readHeader, func(v *verification) string {
		return fmt.Sprintf("alg %q, kid %q, typ %q", v.alg, v.kid, v.typ)
	}},
	{"signature and issuer", (*verification).verify, func(v *verification) string { return v.expected }},
	{"token size", (*verification).size, nil},
	{"token claims", (*verification).claims, describeClaims},
	{"token time", (*verification).time, describeTime},
	{"audience", (*verification).audience, describeAudience},
	{"required claims", (*verification).required, describeRequired},
}

func describeClaims(v *verification) string {
	return fmt.Sprintf("sub %q, jti %q, sid %q", v.token.Subject(), v.token.ID(), v.token.SessionID())
}

func describeTime(v *verification) string {
	t, end := v.token, "none"
	if !t.endless {
		end = stamp(t.expires)
	}
	return fmt.Sprintf("now %s, exp %s, leeway %s, longest life %s", stamp(v.unix), end, t.issuer.Leeway, t.issuer.MaxTokenLife)
}

func describeAudience(v *verification) string {
	if v.token.issuer.AnyAudience {
		return "any audience is accepted"
	}
	return fmt.Sprintf("aud %s, wanted one of %q", v.token.claims.get("aud"), v.token.issuer.Audiences)
}

func describeRequired(v *verification) string { return strings.Join(v.token.issuer.Required, ", ") }

func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

func (v *verification) form() Reason {
	limit := 0
	for _, i := range v.issuers {
		limit = max(limit, i.MaxTokenBytes)
	}
	var ok bool
	v.header, v.payload, v.signature, ok = split(v.compact, limit)
	if !ok || len(v.header) > maxTokenHeader {
		return TokenMalformed
	}
	return OK
}

// readHeader reads alg, kid and typ. No other member has an effect: keys come
// from the config only, never from jku, jwk, x5u or x5c (RFC 8725 §3.10).
func (v *verification) readHeader() Reason {
	raw, err := encoding.DecodeString(v.header)
	if err != nil {
		return TokenMalformed
	}
	h, err := parseClaims(raw)
	if err != nil {
		return TokenMalformed
	}
	if h.get("crit") != nil || h.get("b64") != nil {
		return TokenMalformed // RFC 7515 §4.1.11, RFC 7797 §6: we implement no extension
	}
	for name, field := range map[string]*string{"alg": &v.alg, "kid": &v.kid, "typ": &v.typ} {
		value := h.get(name)
		if value == nil {
			continue
		}
		if value.Kind() != '"' {
			return TokenMalformed
		}
		*field, _ = text(value)
	}
	v.hasKid = h.get("kid") != nil
	if len(v.kid) > maxKid {
		return TokenMalformed
	}
	switch strings.ToLower(v.typ) { // media types ignore case (RFC 7515 §4.1.9)
	case "", "jwt", "at+jwt", "application/at+jwt":
		return OK
	}
	return TokenMalformed
}

// verify looks for a key whose signature the token bears, among the issuers
// that the route accepts, and whose issuer the token names.
func (v *verification) verify() Reason {
	signature, err := encoding.DecodeString(v.signature)
	if err != nil {
		return TokenMalformed
	}
	presented := signed{input: v.compact[:len(v.header)+1+len(v.payload)], signature: signature}
	ours := false // a key of ours has signed it
	ready := true
	for _, issuer := range v.issuers {
		ready = ready && issuer.Keys.Ready()
		for _, key := range v.candidates(issuer) {
			// Of a key that is named there is one for each issuer, and the issuers
			// are those that the route has.
			if named := v.hasKid && key.ID != ""; v.spent >= maxTries && !named {
				v.untried = true
				break
			}
			v.tried++
			v.spent += key.tries
			if !presented.by(key) {
				continue
			}
			if !ours {
				if r := v.parsePayload(); r != OK {
					return r
				}
				ours = true
			}
			if v.from(issuer) && v.forClient(key) {
				v.token.issuer, v.token.key = issuer, key
				v.expected = fmt.Sprintf("issuer %q, key %q", issuer.Name, key.ID)
				return OK
			}
		}
	}
	v.expected = v.whyUntrusted(ours)
	// A key that was tried says nothing about one that cannot be had: kids of
	// two issuers may be the same.
	if !ready && !ours {
		return KeysUnavailable
	}
	return TokenUntrusted
}

// candidates are the keys of an issuer that may have signed: the one with the
// token's kid and algorithm; the ones with the algorithm where the token, or
// the key, has no kid.
func (v *verification) candidates(issuer *Issuer) []*Key {
	if v.hasKid {
		if k := issuer.Keys.Find(v.kid); k != nil {
			if k.Algorithm != v.alg {
				return nil
			}
			return []*Key{k}
		}
	}
	var fit []*Key
	for _, k := range issuer.Keys.All() {
		if k.Algorithm == v.alg && (!v.hasKid || k.ID == "") {
			fit = append(fit, k)
		}
	}
	return fit
}

// Untried counts by algorithm the keys of these issuers with which no token is ever
// tried: they have no ID, and as many as are tried for one token stand before them.
func Untried(issuers []*Issuer) map[string]int {
	spent, untried := map[string]int{}, map[string]int{}
	for _, issuer := range issuers {
		for _, k := range issuer.Keys.All() {
			switch {
			case k.ID != "":
			case spent[k.Algorithm] >= maxTries:
				untried[k.Algorithm]++
			default:
				spent[k.Algorithm] += k.tries
			}
		}
	}
	return untried
}

func (v *verification) whyUntrusted(ours bool) string {
	switch {
	case ours:
		return fmt.Sprintf("the signature is good, but iss %s is not that key's issuer", v.token.claims.get("iss"))
	case v.untried:
		return fmt.Sprintf("none of the first %d keys that fit made this signature; more are not tried for a token that names none (kid)", v.tried)
	case v.tried > 0:
		return fmt.Sprintf("%d key(s) fit, none made this signature", v.tried)
	}
	return fmt.Sprintf("no key with kid %q and algorithm %q", v.kid, v.alg)
}

func (v *verification) parsePayload() Reason {
	raw, err := encoding.DecodeString(v.payload)
	if err != nil {
		return TokenMalformed
	}
	c, err := parseClaims(raw)
	if err != nil {
		return TokenMalformed
	}
	v.token.claims = &c
	return OK
}

// from reports whether the token's `iss` is exactly the issuer's.
func (v *verification) from(issuer *Issuer) bool {
	iss := v.token.claims.get("iss")
	if iss == nil {
		return issuer.Issuer == ""
	}
	s, _ := text(iss)
	return iss.Kind() == '"' && s == issuer.Issuer && s != ""
}

// clientClaims are all that a token can carry which its client could have
// signed: those that we give it. Any other could be taken for a user's.
var clientClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "auth_time", "client_id", "scope"}

// forClient reports whether the token says no more than its client may say of
// itself, where the key is a client's secret.
func (v *verification) forClient(key *Key) bool {
	if key.Client == "" {
		return true
	}
	c := v.token.claims
	for _, m := range c.members {
		if !slices.Contains(clientClaims, string(c.nameOf(m))) {
			return false
		}
	}
	for _, name := range []string{"sub", "client_id"} {
		if s, ok := text(c.get(name)); !ok || s != key.Client {
			return false
		}
	}
	return !slices.ContainsFunc(words(c.get("scope")), func(s string) bool { return !slices.Contains(key.Scopes, s) })
}

func (v *verification) size() Reason {
	if len(v.compact) > v.token.issuer.MaxTokenBytes {
		return TokenMalformed
	}
	return OK
}

func (v *verification) claims() Reason {
	named := v.compact // an opaque token
	if v.token.key != nil {
		named = v.compact[:len(v.header)+1+len(v.payload)]
	}
	r := v.token.read(named, v.typ)
	v.read = r == OK
	return r
}

func (v *verification) time() Reason { return v.token.inTime(v.unix) }

func (v *verification) audience() Reason {
	if !v.token.forAudience() {
		return TokenAudience
	}
	return OK
}

func (v *verification) required() Reason {
	for _, name := range v.token.issuer.Required {
		if value := v.token.claims.Lookup(name); value == nil || string(value) == `""` {
			return TokenClaims // an empty sub is nobody
		}
	}
	return OK
}

// refused is why the token is never good, OK where that is a question of time. It
// does not change: such a token is remembered too, as one that has expired is.
// Clients present it again and again, and time is checked again each time.
func (v *verification) refused() Reason {
	if r := v.audience(); r != OK {
		return r
	}
	return v.required()
}

// held reports whether the issuer still has the key that verified the token.
func (t *verified) held() bool {
	if t.key == nil {
		return true // nobody has signed it
	}
	if t.key.ID != "" {
		return t.issuer.Keys.Find(t.key.ID) == t.key
	}
	return slices.Contains(t.issuer.Keys.All(), t.key)
}

// Report is what Inspect finds in a token.
type Report struct {
	Reason Reason         `json:"reason"`
	Header jsontext.Value `json:"header,omitempty"` // as presented, not trusted
	Claims jsontext.Value `json:"claims,omitempty"` // as presented, or as the issuer answers; trusted only when Reason is OK
	Token  *Token         `json:"-"`                // nil unless Reason is OK
}

// Inspect decodes a token, and takes it through every check that a request to
// a route with bearer authentication would meet. It asks the issuers that could
// have issued an opaque one, until one of them vouches for it.
func (g *Gate) Inspect(ctx context.Context, token string, now time.Time) (Report, []Step) {
	var d Decision
	var steps []Step
	for _, issuers := range possibleIssuers(g.issuers, token) {
		p := &Policy{Mode: BearerOnly, Issuers: issuers, Forward: &Forward{}}
		if d, steps = g.Explain(ctx, p, BearerCredentials(token), now); d.Reason == OK {
			break
		}
	}
	r := Report{Reason: d.Reason}
	t := d.Principal.Token
	if d.Reason == OK {
		r.Token = t
	}
	if t != nil && t.key == nil {
		r.Claims = t.Claims().JSON()
		return r, steps
	}
	header, payload, _, _ := split(token, len(token)) // an unsigned one is shown too
	r.Header, r.Claims = decodeObject(header), decodeObject(payload)
	return r, steps
}

// possibleIssuers are the sets of issuers that a token can be judged by: one with all
// of them; for an opaque one, each that has to be asked by itself.
func possibleIssuers(issuers []*Issuer, token string) (sets [][]*Issuer) {
	for _, i := range issuers {
		if i.Introspection != nil && isOpaque(token) {
			sets = append(sets, []*Issuer{i})
		}
	}
	if sets == nil {
		sets = append(sets, issuers)
	}
	return sets
}

// decodeObject returns the JSON of a segment, nil when it is none.
func decodeObject(segment string) jsontext.Value {
	raw, err := encoding.DecodeString(segment)
	if v := jsontext.Value(raw); err == nil && v.IsValid() {
		return v
	}
	return nil
}
