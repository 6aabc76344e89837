package auth

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Token is a bearer token that was verified: its signature is its issuer's, or
// its issuer was asked about it, and its claims have the right form. It says who
// is calling, not that the call is allowed: time, revocation and the route's
// rules are checked again for each request.
type Token struct {
	*verified

	compact string  // as it was presented
	claims  *Claims // nil where it was verified for an earlier request
}

// verified is what is remembered of a token: what each request needs, and
// neither its text nor its claims, which take most of the room and come again
// with the next request. All but its pointers to caches is never changed.
//
// The collector looks at each object of each remembered token each time, and
// reads it up to its last pointer: they are few, and come first. The order of the
// rest leaves no gaps: the allocator would make the next 288 bytes of 256.
type verified struct {
	issuer *Issuer
	key    *Key     // nil: the issuer says so
	opaque *vouched // nil: a key says so
	texts  string   // in one object; see text

	first     *Policy                   // of the route that it was first presented to; nil: see foresee
	outcomes  atomic.Pointer[outcome]   // of other routes that were asked for last
	successor atomic.Pointer[successor] // nil: it was not renewed
	mint      sync.Mutex                // held while a successor is signed

	foreseen  verdict          // of the first policy
	ends      [numTexts]uint32 // where each of the texts ends
	size      uint32           // of its claims, in bytes
	expires   int64            // Unix seconds, as all of these
	notBefore int64            // 0: none
	issuedAt  int64            // 0: none
	begun     int64            // auth_time, else iat, else 0, which every revocation covers

	entries  [maxNames]revocable // of the revocation list, looked up for each request
	nEntries uint8
	hasIAT   bool
	endless  bool   // it ends when its issuer says so; expires means nothing
	refused  Reason // why it is never good; OK: that is a question of time
}

// The texts of a token.
const (
	textID      = iota // `jti`, or the hex SHA-256 of the signing input; of all of an opaque one
	textSession        // `sid`, or the id: the session that this token began
	textSubject
	textClient // `client_id`, else `azp`
	textType   // header `typ`
	textScopes // a list
	textValues // a list: what the first route's upstream is told, see [Forward.render]

	numTexts
)

// text is one of the token's texts.
func (t *verified) text(n int) string {
	begin := uint32(0)
	if n > 0 {
		begin = t.ends[n-1]
	}
	return t.texts[begin:t.ends[n]]
}

// separator ends each text of a list that is kept as one. None of them has it: no
// header can hold it, and a scope that does is left out, as no route can ask for it.
const separator = "\x00"

// appendTexts adds to a list.
func appendTexts(list string, all []string) string {
	var b strings.Builder
	b.WriteString(list)
	for _, s := range all {
		if !strings.Contains(s, separator) {
			b.WriteString(s)
			b.WriteString(separator)
		}
	}
	return b.String()
}

// eachText goes through a list.
func eachText(list string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for list != "" {
			var s string
			if s, list, _ = strings.Cut(list, separator); !yield(s) {
				return
			}
		}
	}
}

// vouched is what is remembered besides of a token that only its issuer can read.
type vouched struct {
	claims Claims       // the issuer's answer
	until  int64        // when the issuer is to be asked about it again, in Unix seconds
	again  atomic.Int64 // when that is next, while a connection goes on with it
}

// Claims are the token's claims, or what its issuer answered; not to be changed.
// Where the token was verified for an earlier request they are read from it again.
func (t *Token) Claims() Claims {
	switch {
	case t.claims != nil:
		return *t.claims
	case t.opaque != nil:
		return t.opaque.claims
	}
	_, payload, _, _ := split(t.compact, len(t.compact))
	raw, _ := encoding.DecodeString(payload)
	c, _ := parseClaims(raw) // which it could be when it was verified
	return c
}

// Subject is who the token is about (RFC 7519 §4.1.2), by the issuer's subject
// claim; empty when it names nobody.
func (t *verified) Subject() string { return t.text(textSubject) }

// ID is the token's jti (RFC 7519 §4.1.7), or the hex SHA-256 of its signing
// input where it has none; of the whole token where it is opaque.
func (t *verified) ID() string { return t.text(textID) }

// SessionID is the token's sid (OpenID Connect Front-Channel Logout §3), or
// its own ID: the session that its renewals will carry on.
func (t *verified) SessionID() string { return t.text(textSession) }

// Issuer is who signed it.
func (t *verified) Issuer() *Issuer { return t.issuer }

// Expires is when it ends (RFC 7519 §4.1.4), leeway not counted; zero where only
// its issuer knows.
func (t *verified) Expires() time.Time {
	if t.endless {
		return time.Time{}
	}
	return time.Unix(t.expires, 0)
}

// AuthTime is when the session began: `auth_time` (OpenID Connect Core §2), else
// `iat`, else 1970.
func (t *verified) AuthTime() time.Time { return time.Unix(t.begun, 0) }

// Scopes are those of `scope` (RFC 8693 §4.2) and `scp`.
func (t *verified) Scopes() []string { return slices.Collect(eachText(t.text(textScopes))) }

// hasScope reports whether it is one of them.
func (t *verified) hasScope(scope string) bool {
	for s := range eachText(t.text(textScopes)) {
		if s == scope {
			return true
		}
	}
	return false
}

// ClientID is who the token was issued to: `client_id` (RFC 8693 §4.3), else
// `azp`; empty: it does not say.
func (t *verified) ClientID() string { return t.text(textClient) }

// SignedByClient tells that the token's client has signed it, or could have: only
// that it is the client's is certain then, and nothing of its ids.
func (t *verified) SignedByClient() bool { return t.key != nil && t.key.Client != "" }

// Life is how long it is good for from when it was issued; 0 without iat.
func (t *verified) Life() time.Duration {
	if !t.hasIAT {
		return 0
	}
	return time.Duration(t.life()) * time.Second
}

// read takes from the claims what decisions need. It returns TokenClaims when
// a registered claim has a wrong type, or exp is missing. A token
// without jti goes by the SHA-256 of named. Its header has that typ.
func (t *Token) read(named, typ string) Reason {
	c := *t.claims
	t.size = uint32(len(c.data))
	ok := true
	number := func(name string) (n int64, has bool) {
		v := c.get(name)
		if v == nil {
			return 0, false
		}
		n, valid := date(v)
		ok = ok && valid
		return n, valid
	}
	str := func(path string) string {
		v := c.Lookup(path)
		if v == nil {
			return ""
		}
		s, valid := text(v)
		ok = ok && valid
		return s
	}
	var hasExp, hasAuthTime bool
	t.expires, hasExp = number("exp")
	t.notBefore, _ = number("nbf")
	t.issuedAt, t.hasIAT = number("iat")
	if t.begun, hasAuthTime = number("auth_time"); !hasAuthTime {
		t.begun = t.issuedAt
	}
	id := str("jti")
	if id == "" {
		digest := sha256.Sum256([]byte(named))
		id = hex.EncodeToString(digest[:])
	}
	scopes := append(words(c.Lookup("scope")), words(c.Lookup("scp"))...)
	t.pack([numTexts]string{
		textID: id, textSession: cmp.Or(str("sid"), id), textSubject: str(t.issuer.SubjectClaim),
		textClient: cmp.Or(str("client_id"), str("azp")), textType: typ, textScopes: appendTexts("", scopes),
	})
	if !hasExp {
		hasExp = t.withoutEnd()
	}
	if !ok || !hasExp {
		return TokenClaims
	}
	if t.opaque != nil {
		t.opaque.until = min(t.opaque.until, t.expires)
	}
	for i, r := range t.names() {
		t.entries[i], t.nEntries = revocable{r.Kind, r.Key()}, uint8(i+1)
	}
	return OK
}

// pack puts the token's texts into one.
func (t *verified) pack(texts [numTexts]string) {
	n := 0
	for i, s := range texts {
		n += len(s)
		t.ends[i] = uint32(n)
	}
	t.texts = strings.Join(texts[:], "")
}

// withoutEnd gives a token that only its issuer can read, and that has no exp, the
// end that its iat allows: what it was revoked by is not remembered for longer.
// It reports false for any other.
func (t *verified) withoutEnd() bool {
	t.expires = math.MaxInt64
	if t.endless = !t.hasIAT; t.hasIAT {
		t.expires = t.issuedAt + int64(t.issuer.MaxTokenLife/time.Second)
	}
	return t.key == nil
}

// revocations are those that would cover the token.
func (t *verified) revocations() []revocable { return t.entries[:t.nEntries] }

// maxNames is how many names there can be.
const maxNames = 6

// names are what the token may have been revoked by.
func (t *verified) names() []Revocation {
	issuer := t.issuer.Name
	names := make([]Revocation, 0, maxNames)
	add := func(kind Kind, scope, id string) {
		if id != "" {
			names = append(names, Revocation{Kind: kind, Issuer: scope, ID: id})
		}
	}
	add(KindToken, issuer, t.ID())
	add(KindSession, issuer, t.SessionID())
	// A session that renewal began is named after its first token: revoking
	// that token by its id ends what grew out of it.
	if t.issuer.Renew != nil && !t.beginsSession() {
		add(KindToken, issuer, t.SessionID())
	}
	add(KindSubject, issuer, t.Subject())
	add(KindClient, issuer, t.ClientID())
	add(KindIssuer, "", issuer)
	return names
}

// inTime checks what the clock decides (RFC 7519 §4.1.4 to §4.1.6). A life that
// is too long is refused here too: without iat it is counted from now. So is a
// session that begins in the future: it would outlast its cap and revocations.
func (t *verified) inTime(now int64) Reason {
	leeway := int64(t.issuer.Leeway / time.Second)
	from := now
	if t.hasIAT {
		from = t.issuedAt
	}
	switch {
	case now-leeway >= t.expires: // never where it is endless
		return TokenExpired
	case t.notBefore > now+leeway, t.issuedAt > now+leeway, t.begun > now+leeway:
		return TokenNotYetValid
	case !t.endless && t.expires-from > int64(t.issuer.MaxTokenLife/time.Second):
		return TokenClaims
	}
	return OK
}

// forAudience checks `aud`, a string or an array of strings (RFC 7519 §4.1.3).
func (t *Token) forAudience() bool {
	if t.issuer.AnyAudience {
		return true
	}
	v := t.claims.get("aud")
	if k := v.Kind(); k != '"' && k != '[' {
		return false
	}
	all, _ := texts(v)
	return slices.ContainsFunc(all, func(a string) bool { return slices.Contains(t.issuer.Audiences, a) })
}
