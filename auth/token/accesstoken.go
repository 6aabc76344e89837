package token

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth"
)

// accessToken is what one is made of.
type accessToken struct {
	subject  string
	session  string
	client   string // empty: none
	scopes   []string
	claims   []byte    // JSON object; nil: none
	authTime time.Time // in the past by less than MaxSession
	life     time.Duration
	key      *auth.Key // nil: what the issuer signs with
}

// sign makes an access token (RFC 7519 §4.1, RFC 9068 §2). Nothing has been
// stored yet: when it fails, nothing has happened.
func (e *Engine) sign(now time.Time, t accessToken) (Grant, error) {
	key := t.key
	if key == nil {
		key = e.cfg.Issuer.Keys.Signer()
	}
	if key == nil {
		return Grant{}, e.noSigner()
	}
	issued := now.Unix()
	expires := e.expiry(now, t.authTime, t.life)
	id := newTokenID()
	compact, err := auth.SignJSON(key, tokenType(key), e.payload(&t, id, issued, expires))
	if len(compact) > e.cfg.Issuer.MaxTokenBytes {
		err = fmt.Errorf("the token has %d bytes and max_token_bytes of issuer %q is %d: raise it, or give the user fewer claims",
			len(compact), e.cfg.Issuer.Name, e.cfg.Issuer.MaxTokenBytes)
	}
	if err != nil {
		return Grant{}, e.notIssued(t.subject, err)
	}
	return Grant{
		AccessToken: compact, ExpiresIn: time.Duration(expires-issued) * time.Second,
		Scopes: t.scopes, Subject: t.subject, SessionID: t.session, TokenID: id,
	}, nil
}

// tokenType is the header `typ`. RFC 9068 is for keys that others can verify by.
func tokenType(k *auth.Key) string {
	if k.Public() == nil {
		return "JWT"
	}
	return "at+jwt"
}

func (e *Engine) noSigner() error {
	return &Error{Reason: auth.KeysUnavailable, Err: fmt.Errorf("issuer %q has no key that can sign", e.cfg.Issuer.Name)}
}

// notIssued is a token that the configuration makes impossible: somebody must act.
func (e *Engine) notIssued(subject string, err error) error {
	e.cfg.Log.Error("token not issued", "sub", subject, "error", err)
	return &Error{Reason: auth.Undecided, Err: err}
}

// sessionEnd is when nothing of a session can be good any more.
func (e *Engine) sessionEnd(authTime time.Time) time.Time { return authTime.Add(e.cfg.MaxSession) }

func (e *Engine) over(authTime, now time.Time) bool {
	return now.Unix() >= e.sessionEnd(authTime).Unix()
}

// expiry is when an access token that is issued now ends, in Unix seconds.
func (e *Engine) expiry(now, authTime time.Time, life time.Duration) int64 {
	return min(now.Unix()+int64(life/time.Second), e.sessionEnd(authTime).Unix())
}

func (e *Engine) payload(t *accessToken, id string, issued, expires int64) []byte {
	b := make([]byte, 1, 512+len(t.claims))
	b[0] = '{'
	text := func(name, value string) {
		if value != "" { // absent rather than empty
			b = append(member(b, name), quote(value)...)
		}
	}
	date := func(name string, unix int64) { b = strconv.AppendInt(member(b, name), unix, 10) }
	text("iss", e.cfg.Issuer.Issuer)
	text("sub", t.subject)
	text("aud", e.cfg.Audience)
	date("exp", expires)
	date("nbf", issued)
	date("iat", issued)
	text("jti", id)
	text("sid", t.session)
	date("auth_time", t.authTime.Unix())
	text("client_id", t.client)
	text("scope", strings.Join(t.scopes, " "))
	if len(t.claims) > len("{}") {
		b = append(append(b, ','), t.claims[1:len(t.claims)-1]...)
	}
	return append(b, '}')
}

// member begins a member of a JSON object.
func member(b []byte, name string) []byte {
	if len(b) > 1 {
		b = append(b, ',')
	}
	return append(append(b, quote(name)...), ':')
}

// quote writes a JSON string. What is no UTF-8 was refused before.
func quote(s string) []byte {
	b, _ := jsontext.AppendQuote(nil, s)
	return b
}

// newTokenID returns 128 random bits.
func newTokenID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the process rather
	return encoding.EncodeToString(b[:])
}

// maxSubjectBytes is what a revocation can name.
const maxSubjectBytes = 1024

// claims returns a user's claims for its tokens. A user with the id of a client
// could not be told from it: what is about the client has that subject too.
func (e *Engine) claims(u User) ([]byte, error) {
	if e.clients[u.ID] != nil {
		return nil, fmt.Errorf("user %q has the id of a client: give one of the two another", u.ID)
	}
	return u.claims()
}

// claims returns a user's claims as a JSON object, without those that are ours
// to set. It fails when the user's record would make a token that nobody accepts,
// or one that says what the record does not.
func (u *User) claims() ([]byte, error) {
	all := maps.Clone(u.Claims)
	if u.Email != "" {
		if all == nil {
			all = map[string]json.RawMessage{}
		}
		all["email"] = json.RawMessage(quote(u.Email))
	}
	b := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if ReservedClaim(name) {
			continue
		}
		value := jsontext.Value(all[name])
		if _, err := jsontext.AppendQuote(nil, name); err != nil || !value.IsValid() {
			return nil, fmt.Errorf("claim %q of user %q is not JSON", name, u.ID)
		}
		b = append(member(b, name), value...)
	}
	if _, err := jsontext.AppendQuote(nil, u.ID+u.Email); err != nil || u.ID == "" || len(u.ID) > maxSubjectBytes {
		return nil, fmt.Errorf("a user needs an id of 1 to %d bytes, in UTF-8 as the mail address", maxSubjectBytes)
	}
	return append(b, '}'), nil
}
