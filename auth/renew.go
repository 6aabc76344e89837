package auth

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// RenewResult says what became of a renewal that was due. It is a closed set:
// a metric's label.
type RenewResult uint8

// The results.
const (
	RenewFailed  RenewResult = iota // see the error
	RenewMinted                     // a new token was signed
	RenewReused                     // the interval's successor was given again
	RenewCapped                     // the session has reached its cap
	RenewRevoked                    // revoked since the request was let in

	renewResultCount
)

var renewResults = [renewResultCount]string{
	RenewFailed: "failed", RenewMinted: "minted", RenewReused: "reused", RenewCapped: "capped", RenewRevoked: "revoked",
}

// RenewResults returns every result there is.
func RenewResults() []RenewResult {
	return []RenewResult{RenewFailed, RenewMinted, RenewReused, RenewCapped, RenewRevoked}
}

// String returns the result's name.
func (r RenewResult) String() string { return renewResults[r] }

// BearerScheme is what stands in front of a token in an Authorization header (RFC
// 6750 §2.1).
const BearerScheme = "Bearer "

// successor is the token that renewal made of another.
type successor struct {
	authorization string // what answers carry: "Bearer " and the token
	until         int64  // Unix seconds: when the next one is due
}

// The interval in which one presented token has one successor: a sixtieth of
// its life, within these bounds. Signing is the dearest thing we do (a
// millisecond for RS256), and clients send many requests at once.
const (
	intervalFraction = 60
	minInterval      = 1  // seconds
	maxInterval      = 60 // seconds
)

func (t *verified) life() int64 { return t.expires - t.issuedAt }

// renewalDue reports whether enough of the token's life is used up.
func (t *verified) renewalDue(now time.Time) bool {
	r := t.issuer.Renew
	if r == nil {
		return false
	}
	return r.After == 0 || float64(now.Unix()-t.issuedAt) >= r.After*float64(t.life())
}

// Renew returns the successor of the token that a decision let in: the same
// claims with new iat, nbf, exp and jti, in the same session. It comes as the
// value of an Authorization header, [BearerScheme] and the token, and is
// empty unless the result is RenewMinted or RenewReused; err is set with
// RenewFailed, for the log. Calls with one token wait for one signature.
func (g *Gate) Renew(d Decision, now time.Time) (authorization string, result RenewResult, err error) {
	t := d.Principal.Token
	if d.Reason != OK || t == nil || t.issuer.Renew == nil {
		return "", RenewFailed, errors.New("there is no token to renew")
	}
	unix := now.Unix()
	switch reason := g.Recheck(d.Principal, now); reason {
	case OK:
	case TokenRevoked, APIKeyInvalid:
		return "", RenewRevoked, nil
	default:
		return "", RenewFailed, fmt.Errorf("the token is no longer good: %s", reason)
	}
	if s := t.successor.Load(); s != nil && unix < s.until {
		return s.authorization, RenewReused, nil
	}
	t.mint.Lock()
	defer t.mint.Unlock()
	if s := t.successor.Load(); s != nil && unix < s.until {
		return s.authorization, RenewReused, nil
	}
	s, err := t.succeed(unix)
	if err != nil {
		return "", RenewFailed, err
	}
	if s == nil {
		return "", RenewCapped, nil
	}
	t.successor.Store(s)
	return s.authorization, RenewMinted, nil
}

// succeed signs the successor of a token, nil when the session is past its cap.
func (t *Token) succeed(now int64) (*successor, error) {
	if !t.hasIAT || t.life() <= 0 {
		return nil, errors.New("the token has no iat, so that its life is not known")
	}
	expires := min(now+t.life(), t.begun+int64(t.issuer.Renew.MaxSession/time.Second))
	if expires <= now {
		return nil, nil
	}
	compact, _, err := t.reissue(now, expires, t.SessionID())
	if err != nil {
		return nil, err
	}
	interval := min(max(t.life()/intervalFraction, minInterval), maxInterval)
	return &successor{authorization: BearerScheme + compact, until: now + interval}, nil
}

// Reissue signs the token's claims again, as renewal does, for those who have
// reasons of their own to end the token: with new iat, nbf, exp and jti, which
// is id. A token that has no session, or gave its own its name, is put into the
// given one; others stay in theirs. It fails when the issuer cannot sign, or the
// new token would be too large.
func (t *Token) Reissue(now, expires time.Time, session string) (compact, id string, err error) {
	return t.reissue(now.Unix(), expires.Unix(), session)
}

func (t *Token) reissue(now, expires int64, session string) (compact, id string, err error) {
	signer := t.issuer.Keys.Signer()
	if t.key.Client != "" {
		signer = t.key
	}
	if signer == nil {
		return "", "", fmt.Errorf("issuer %q has no key that can sign", t.issuer.Name)
	}
	id = newID()
	compact, err = signer.signCompact(t.text(textType), t.payload(now, expires, session, id))
	if err != nil {
		return "", "", err
	}
	if len(compact) > t.issuer.MaxTokenBytes {
		return "", "", fmt.Errorf("the renewed token has %d bytes, more than max_token_bytes of issuer %q", len(compact), t.issuer.Name)
	}
	return compact, id, nil
}

// payload copies the verified claims and replaces those that renewal changes.
func (t *Token) payload(now, expires int64, session, id string) []byte {
	b := make([]byte, 0, 1<<10)
	b = append(b, '{')
	claims := t.Claims()
	for _, m := range claims.members {
		name := string(claims.nameOf(m))
		switch name {
		case "iat", "nbf", "exp", "jti":
			continue
		case "sid":
			if t.beginsSession() {
				continue // null or empty
			}
		}
		b = appendMember(b, name, claims.valueOf(m))
	}
	date := func(name string, unix int64) { b = appendMember(b, name, fmt.Appendf(nil, "%d", unix)) }
	date("iat", now)
	date("nbf", now)
	date("exp", expires)
	b = appendMember(b, "jti", quote(id))
	if t.beginsSession() {
		b = appendMember(b, "sid", quote(session))
	}
	if claims.get("auth_time") == nil {
		date("auth_time", t.begun)
	}
	return append(b, '}')
}

// beginsSession reports whether the token belongs to no session yet: its
// successors' session is named after it.
func (t *verified) beginsSession() bool { return t.SessionID() == t.ID() }

func appendMember(b []byte, name string, value []byte) []byte {
	if len(b) > 1 {
		b = append(b, ',')
	}
	b = append(b, quote(name)...)
	b = append(b, ':')
	return append(b, value...)
}

// quote writes a JSON string. Claims are valid UTF-8, which is all it needs.
func quote(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, s)
	return b
}

// newID returns 128 random bits for a jti; crypto/rand cannot fail.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
