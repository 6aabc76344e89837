package campaign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"math/rand/v2"
	"strings"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// kind is one way to change a good credential. It returns header lines; lines
// that are still those of a good request are not sent.
type kind struct {
	name   string
	mutate func(*world, *rand.Rand) []string
}

// ofToken changes the text of a token, in its three segments.
func ofToken(change func(r *rand.Rand, s *[3]string)) func(*world, *rand.Rand) []string {
	return func(w *world, r *rand.Rand) []string {
		s := w.tokens[r.IntN(len(w.tokens))]
		change(r, &s)
		return []string{keyLine, bearer(strings.Join(s[:], "."))}
	}
}

// ofText changes the text of a token as a whole.
func ofText(change func(*rand.Rand, string) string) func(*world, *rand.Rand) []string {
	return func(w *world, r *rand.Rand) []string {
		return []string{keyLine, bearer(change(r, strings.Join(w.tokens[r.IntN(len(w.tokens))][:], ".")))}
	}
}

// ofKey changes the API key.
func ofKey(change func(*rand.Rand, string) string) func(*world, *rand.Rand) []string {
	return func(w *world, r *rand.Rand) []string {
		lines := w.good(r.IntN(len(w.tokens)))
		lines[0] = "Api-Key: " + change(r, apiKey)
		return lines
	}
}

// ofHeader changes the token's header, under the old signature.
func ofHeader(change func(*rand.Rand, map[string]any)) func(*world, *rand.Rand) []string {
	return ofToken(func(r *rand.Rand, s *[3]string) {
		header := decode(s[0])
		change(r, header)
		s[0] = encode(header)
	})
}

// ofClaims changes the claims, under the old signature.
func ofClaims(change func(*rand.Rand, map[string]any)) func(*world, *rand.Rand) []string {
	return ofToken(func(r *rand.Rand, s *[3]string) {
		claims := decode(s[1])
		change(r, claims)
		s[1] = encode(claims)
	})
}

// signed is a token with that header and those claims, signed with the secret.
func signed(secret string, header, claims map[string]any) []string {
	text := encode(header) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return []string{keyLine, bearer(text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))}
}

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func flip(r *rand.Rand, s string) string {
	i := r.IntN(len(s))
	return s[:i] + string([]byte{s[i] ^ 1<<r.IntN(8)}) + s[i+1:]
}

func otherLetter(r *rand.Rand, s string) string {
	i := r.IntN(len(s))
	return s[:i] + string(alphabet[r.IntN(len(alphabet))]) + s[i+1:]
}

func truncate(r *rand.Rand, s string) string { return s[:r.IntN(len(s))] }

func extend(r *rand.Rand, s string) string {
	return s + strings.Repeat(string(alphabet[r.IntN(len(alphabet))]), 1+r.IntN(8))
}

// otherCase changes the case of some letters.
func otherCase(r *rand.Rand, s string) string {
	b := []byte(s)
	for range 1 + r.IntN(4) {
		if i := r.IntN(len(b)); b[i] >= 'A' && b[i] <= 'Z' || b[i] >= 'a' && b[i] <= 'z' {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// otherSpelling keeps what a segment decodes to, and changes its text: bits
// that a lenient decoder drops, padding, the other alphabet, line ends.
func otherSpelling(r *rand.Rand, s *[3]string) {
	i := r.IntN(3)
	switch spare := len(s[i]) % 4; r.IntN(3) {
	case 0:
		if spare > 0 { // 4 spare bits in the last of 2 letters, 2 in the last of 3
			last := strings.IndexByte(alphabet, s[i][len(s[i])-1])
			s[i] = s[i][:len(s[i])-1] + string(alphabet[last^(1+r.IntN(1<<(8-2*spare)-1))])
		}
	case 1:
		s[i] += strings.Repeat("=", 1+r.IntN(3))
	case 2:
		s[i] = strings.NewReplacer("-", "+", "_", "/").Replace(s[i])
	}
}

var algorithms = []any{"none", "None", "NONE", "", nil, 0, "HS256", "hs256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", []string{"RS256"}}

var kids = []any{"hs", "rs", "rs2", "ps", "es", "es384", "es512", "ed", "rs4096", "rs8192", "HS", "hs ", "", nil, 1, "../hs", "/dev/null", "' or 1=1 --", []string{"hs"}}

// wrongClaims are claims that no route takes, whoever signed them.
var wrongClaims = []func(*rand.Rand, map[string]any){
	func(r *rand.Rand, c map[string]any) { c["exp"] = c["iat"].(int64) - 60 - r.Int64N(1e9) },
	func(r *rand.Rand, c map[string]any) { c["exp"] = c["iat"].(int64) + 7200 + r.Int64N(1e12) },
	func(r *rand.Rand, c map[string]any) {
		c["exp"] = pick[any](r, "never", 0, -1, nil, true, 1e300, []int{1})
	},
	func(r *rand.Rand, c map[string]any) { delete(c, "exp") },
	func(r *rand.Rand, c map[string]any) { c["nbf"] = c["iat"].(int64) + 120 + r.Int64N(1e9) },
	func(r *rand.Rand, c map[string]any) { c["iat"] = c["iat"].(int64) + 120 + r.Int64N(1e9) },
	func(r *rand.Rand, c map[string]any) {
		c["aud"] = pick[any](r, "", "ap", "apis", "API", nil, 1, []string{"web"}, "api ")
	},
	func(r *rand.Rand, c map[string]any) {
		c["iss"] = pick[any](r, "", issuer+"/", strings.ToUpper(issuer), partner, nil, 1, issuer[:len(issuer)-1])
	},
}

// kinds are the ways to change a credential.
var kinds = []kind{
	{"bit of a token", ofText(flip)},
	{"letter of a token", ofText(otherLetter)},
	{"token truncated", ofText(truncate)},
	{"token extended", ofText(extend)},
	{"case of letters", ofText(otherCase)},
	{"other base64 for the same", ofToken(otherSpelling)},
	{"segments of two tokens", func(w *world, r *rand.Rand) []string {
		a, b := w.tokens[r.IntN(len(w.tokens))], w.tokens[r.IntN(len(w.tokens))]
		i := r.IntN(3)
		if a[i] == b[i] {
			return w.good(0)
		}
		a[i] = b[i]
		return []string{keyLine, bearer(strings.Join(a[:], "."))}
	}},
	{"segments permuted", ofToken(func(r *rand.Rand, s *[3]string) { r.Shuffle(3, func(i, j int) { s[i], s[j] = s[j], s[i] }) })},
	{"segments lost or added", ofText(func(r *rand.Rand, s string) string {
		return pick(r, strings.Replace(s, ".", "", 1), s[:strings.LastIndexByte(s, '.')+1], s+".", "."+s, s+"."+s, strings.Replace(s, ".", "..", 1))
	})},
	{"other algorithm", ofHeader(func(r *rand.Rand, h map[string]any) { h["alg"] = pick(r, algorithms...) })},
	{"other key id", ofHeader(func(r *rand.Rand, h map[string]any) { h["kid"] = pick(r, kids...) })},
	{"header member", ofHeader(func(r *rand.Rand, h map[string]any) {
		h[pick(r, "crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "cty", "typ")] = pick[any](r, "x", []string{"exp"}, false, "https://evil.example/keys", "refresh+jwt")
	})},
	{"claims under the old signature", ofClaims(func(r *rand.Rand, c map[string]any) {
		c[pick(r, "sub", "iss", "aud", "exp", "roles", "scope", "sid")] = pick[any](r, "admin", []string{"admin"}, 4102444800, true, "user-1000")
	})},
	{"the API's key as a bearer, and so on", func(_ *world, r *rand.Rand) []string {
		return []string{keyLine, bearer(pick(r, apiKey, secret, rigHash, "null", "undefined", "Bearer", "a.b.c"))}
	}},
	{"signed with a made-up secret", func(_ *world, r *rand.Rand) []string {
		return signed(extend(r, "a secret that nobody has configured"), map[string]any{"alg": "HS256", "kid": "hs", "typ": "JWT"}, claims(r.IntN(100)))
	}},
	{"signed with the public key", func(w *world, r *rand.Rand) []string {
		return signed(pick(r, w.publicPEM, strings.TrimSpace(w.publicPEM), ""), map[string]any{"alg": "HS256", "kid": pick(r, "rs", "rs2", "ps", "hs"), "typ": "JWT"}, claims(r.IntN(100)))
	}},
	{"signed by the other issuer", func(_ *world, r *rand.Rand) []string {
		c := claims(r.IntN(100))
		c["iss"] = pick(r, issuer, partner)
		return signed(partnerSecret, map[string]any{"alg": "HS256", "kid": "hs", "typ": "JWT"}, c)
	}},
	{"signed, with wrong claims", func(_ *world, r *rand.Rand) []string {
		c := claims(r.IntN(100))
		wrongClaims[r.IntN(len(wrongClaims))](r, c)
		return signed(secret, map[string]any{"alg": "HS256", "kid": "hs", "typ": "JWT"}, c)
	}},
	{"signed, as another type", func(_ *world, r *rand.Rand) []string {
		return signed(secret, map[string]any{"alg": "HS256", "kid": "hs", "typ": pick(r, "refresh+jwt", "logout+jwt", "dpop+jwt", "id+jwt")}, claims(r.IntN(100)))
	}},
	{"header lines twice or spelt otherwise", func(w *world, r *rand.Rand) []string {
		lines := w.good(r.IntN(len(w.tokens)))
		key, token := lines[0], lines[1]
		text := strings.TrimPrefix(token, "Authorization: Bearer ")
		return pick(r, []string{key, token, token}, []string{key, key, token}, []string{key, token, bearer(flip(r, text))}, []string{key, bearer("x"), token},
			[]string{key, token + ", Bearer " + text}, []string{key, token + "," + text}, []string{key, "Authorization: " + text}, []string{key, "Authorization: Token " + text},
			[]string{key, "Authorization: Bearer" + text}, []string{key, "Authorization: Bearer:" + text}, []string{key, "Authorization: Bearer\t" + text}, []string{key, "Authorization: Bearer \xa0" + text},
			[]string{key, "Authorization : Bearer " + text}, []string{key, "X-Authorization: Bearer " + text}, []string{key, "Proxy-Authorization: Bearer " + text}, []string{key, "Cookie: token=" + text},
			[]string{"Api_Key: " + apiKey, token}, []string{"Api-Key: " + apiKey + ", " + apiKey, token}, []string{"X-Api-Key: " + apiKey, token}, []string{token}, []string{key})
	}},
	{"bit of a key", ofKey(flip)},
	{"letter of a key", ofKey(otherLetter)},
	{"key truncated", ofKey(truncate)},
	{"key extended", ofKey(extend)},
	{"case of a key", ofKey(otherCase)},
	{"something for a key", ofKey(func(r *rand.Rand, s string) string {
		return pick(r, rigHash, s+s, "\""+s+"\"", "Bearer "+s, "web", s[1:], "%67"+s[1:])
	})},
}
