package auth

import "strings"

// Credentials are what a request presents: bytes, nothing verified.
type Credentials struct {
	apiKey      string
	apiKeyLines int
	bearer      string
	bearerState bearerState
	cookie      string       // name of the cookie that the bearer token came in; empty: the header
	certificate *Certificate // nil: none, or none that counts
}

type bearerState uint8

const (
	bearerAbsent bearerState = iota
	bearerPresent
	bearerMalformed
)

// Extract reads the credentials from a request's header. Names in h are
// canonical, as net/http leaves them; apiKeyHeader too. Nothing but these two
// header fields is a source: not the query, not the body, not cookies, not
// trailers (RFC 6750 §2.2 and §2.3 are not supported on purpose).
func Extract(h map[string][]string, apiKeyHeader string) Credentials {
	var c Credentials
	if lines := h[apiKeyHeader]; len(lines) > 0 && (len(lines) > 1 || lines[0] != "") {
		c.apiKey, c.apiKeyLines = lines[0], len(lines)
	}
	switch lines := h["Authorization"]; len(lines) {
	case 0:
	case 1:
		c.bearer, c.bearerState = parseBearer(lines[0])
	default:
		c.bearerState = bearerMalformed
	}
	return c
}

// WithCookie returns the credentials with the bearer token of that cookie (RFC
// 6265 §4.2), where they have none and the cookie is there. Only tokens of an
// issuer with that Cookie are accepted from it.
func (c Credentials) WithCookie(h map[string][]string, name string) Credentials {
	if c.bearerState != bearerAbsent {
		return c
	}
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
			switch {
			case key != name:
			case c.bearerState != bearerAbsent:
				c.bearer, c.bearerState = "", bearerMalformed // twice: one of them is not ours
			default:
				c.bearer, c.bearerState, c.cookie = strings.TrimRight(value, " \t"), bearerPresent, name
			}
		}
	}
	return c
}

// Cookie is the name of the cookie that the bearer token came in, empty where
// it came in the header or there is none.
func (c Credentials) Cookie() string { return c.cookie }

// BearerCredentials are those of a request that presents this token and nothing
// else.
func BearerCredentials(token string) Credentials {
	return Credentials{bearer: token, bearerState: bearerPresent}
}

// parseBearer takes the token out of an Authorization field (RFC 6750 §2.1,
// RFC 9110 §11.4): the scheme in any case, one or more spaces, the token. A
// field of another scheme carries no bearer token.
func parseBearer(field string) (token string, state bearerState) {
	const scheme = "bearer"
	if len(field) < len(scheme) || !strings.EqualFold(field[:len(scheme)], scheme) {
		return "", bearerAbsent
	}
	rest := field[len(scheme):]
	if rest != "" && isTokenChar(rest[0]) {
		return "", bearerAbsent // a longer scheme name
	}
	token = strings.TrimLeft(rest, " ")
	if len(token) == len(rest) || token == "" {
		return "", bearerMalformed
	}
	return token, bearerPresent
}

// isTokenChar reports whether b may stand in a scheme's name (RFC 9110 §5.6.2).
func isTokenChar(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// jwsChars are the bytes of a compact JWS (RFC 7515 §7.1): base64url and dots.
var jwsChars = func() (t [256]bool) {
	for _, b := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") {
		t[b] = true
	}
	return t
}()

// split cuts a compact JWS into its parts. It is done before anything is
// decoded: base64 decoders skip line ends that no token may contain.
func split(token string, maxBytes int) (header, payload, signature string, ok bool) {
	if len(token) > maxBytes {
		return "", "", "", false
	}
	for i := 0; i < len(token); i++ {
		if !jwsChars[token[i]] {
			return "", "", "", false
		}
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, ok = strings.Cut(rest, ".") // an empty signature is a bad one
	ok = ok && header != "" && payload != "" && strings.IndexByte(signature, '.') < 0
	return header, payload, signature, ok
}
