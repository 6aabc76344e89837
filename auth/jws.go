package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// Key is one key of an issuer, bound to exactly one algorithm (RFC 8725 §3.1).
type Key struct {
	ID        string // `kid`; empty: found by algorithm
	Algorithm string // a name of RFC 7518 §3.1 or EdDSA
	// Client is set where the key is the secret of one client, who can sign with
	// it what it likes: such a token can name that client only, with no more than
	// Scopes, and no user. Its renewals are signed with it too. Empty: the key is
	// the issuer's.
	Client string
	Scopes []string

	method jwt.SigningMethod
	screen screen      // nil: none is needed
	hash   crypto.Hash // what the screen wants
	tries  int         // of maxTries; see tries
	verify any         // as golang-jwt's method wants it
	sign   any         // nil: cannot sign
}

// CanSign reports whether the key can make signatures.
func (k *Key) CanSign() bool { return k.sign != nil }

// Public returns the public half, nil where the key is a secret.
func (k *Key) Public() crypto.PublicKey {
	if _, secret := k.verify.([]byte); secret {
		return nil
	}
	return k.verify
}

// algorithm is what we know of one JWS algorithm.
type algorithm struct {
	method    jwt.SigningMethod
	minSecret int    // bytes, for HS*
	curve     string // for ES*
}

// algorithms has no `none`, and its PS* pin the salt to the hash's length
// (RFC 7518 §3.5): golang-jwt by itself accepts any salt.
var algorithms = map[string]algorithm{
	"HS256": {method: jwt.SigningMethodHS256, minSecret: 32},
	"HS384": {method: jwt.SigningMethodHS384, minSecret: 48},
	"HS512": {method: jwt.SigningMethodHS512, minSecret: 64},
	"RS256": {method: jwt.SigningMethodRS256},
	"RS384": {method: jwt.SigningMethodRS384},
	"RS512": {method: jwt.SigningMethodRS512},
	"PS256": {method: pinnedPSS(jwt.SigningMethodPS256)},
	"PS384": {method: pinnedPSS(jwt.SigningMethodPS384)},
	"PS512": {method: pinnedPSS(jwt.SigningMethodPS512)},
	"ES256": {method: jwt.SigningMethodES256, curve: "P-256"},
	"ES384": {method: jwt.SigningMethodES384, curve: "P-384"},
	"ES512": {method: jwt.SigningMethodES512, curve: "P-521"},
	"EdDSA": {method: jwt.SigningMethodEdDSA},
}

func pinnedPSS(m *jwt.SigningMethodRSAPSS) *jwt.SigningMethodRSAPSS {
	pinned := *m
	pinned.Options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	pinned.VerifyOptions = pinned.Options
	return &pinned
}

// NewSecretKey returns a key that signs and verifies with a shared secret. It
// refuses a secret that is shorter than the algorithm's hash (RFC 7518 §3.2),
// of one repeated byte, or known from documentation.
func NewSecretKey(kid, alg string, secret []byte) (*Key, error) {
	a, err := find(alg, a2family(alg) == "HS")
	if err != nil {
		return nil, err
	}
	switch {
	case len(secret) < a.minSecret:
		return nil, fmt.Errorf("the secret for %s has %d bytes: it needs at least %d random ones", alg, len(secret), a.minSecret)
	case bytes.HasPrefix(bytes.TrimSpace(secret), []byte("-----BEGIN")):
		return nil, fmt.Errorf("the secret is a key in PEM, which others may know: %s wants random bytes of its own", alg)
	case allSame(secret, secret[0]):
		return nil, errors.New("the secret is one byte repeated: make a random one")
	case sampleSecrets[hex.EncodeToString(sum(secret))]:
		return nil, errors.New("the secret is a published sample that everybody knows: make a random one")
	}
	return &Key{ID: kid, Algorithm: alg, method: a.method, tries: 1, verify: secret, sign: secret}, nil
}

// NewVerificationKey returns a key that verifies only. It refuses a key of
// another type or curve than the algorithm's, and RSA keys that are weak.
func NewVerificationKey(kid, alg string, public crypto.PublicKey) (*Key, error) {
	a, err := find(alg, a2family(alg) != "HS")
	if err != nil {
		return nil, err
	}
	if err := fits(alg, a, public); err != nil {
		return nil, err
	}
	k := &Key{ID: kid, Algorithm: alg, method: a.method, tries: tries(public), verify: public}
	k.screen, k.hash = newScreen(alg, public)
	return k, nil
}

// NewSigningKey returns a key that signs and verifies, on the conditions of
// NewVerificationKey.
func NewSigningKey(kid, alg string, private crypto.Signer) (*Key, error) {
	k, err := NewVerificationKey(kid, alg, private.Public())
	if err != nil {
		return nil, err
	}
	k.sign = private
	return k, nil
}

func find(alg string, rightKind bool) (algorithm, error) {
	a, ok := algorithms[alg]
	switch {
	case !ok:
		return a, fmt.Errorf("unknown algorithm %q", alg)
	case !rightKind && a.minSecret > 0:
		return a, fmt.Errorf("%s takes a secret, not a key pair", alg)
	case !rightKind:
		return a, fmt.Errorf("%s takes a key pair, not a secret", alg)
	}
	return a, nil
}

// tries is for how many of [maxTries] one check of a signature counts, because it
// takes long even by the key's screen: on P-521, and for RSA of more than 4096 bits
// or with an exponent above 65537, which is more multiplications.
func tries(public crypto.PublicKey) int {
	n := 1
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P521() {
			n = 2
		}
	case *rsa.PublicKey:
		if k.N.BitLen() > 4096 {
			n = 2
		}
		if k.E > 65537 {
			n *= 2
		}
	}
	return n
}

func a2family(alg string) string { return alg[:min(2, len(alg))] }

// maxRSABits bounds what one verification can cost.
const maxRSABits = 8192

func fits(alg string, a algorithm, public crypto.PublicKey) error {
	var family string
	switch k := public.(type) {
	case *rsa.PublicKey:
		family = "RS"
		switch {
		case k.N.BitLen() < 2048:
			return fmt.Errorf("the RSA key has %d bits: it needs at least 2048 (RFC 7518 §3.3)", k.N.BitLen())
		case k.N.BitLen() > maxRSABits:
			return fmt.Errorf("the RSA key has %d bits: at most %d are accepted", k.N.BitLen(), maxRSABits)
		case k.E < 3 || k.E%2 == 0:
			return fmt.Errorf("the RSA key's public exponent %d is not safe", k.E)
		}
	case *ecdsa.PublicKey:
		family = "ES"
		if name := k.Curve.Params().Name; a.curve != "" && name != a.curve {
			return fmt.Errorf("%s needs a key on %s, this one is on %s", alg, a.curve, name)
		}
		if _, err := k.ECDH(); err != nil {
			return errors.New("the EC key is not a point of its curve")
		}
	case ed25519.PublicKey:
		family = "Ed"
		if len(k) != ed25519.PublicKeySize {
			return fmt.Errorf("the Ed25519 key has %d bytes instead of %d", len(k), ed25519.PublicKeySize)
		}
	default:
		return fmt.Errorf("keys of type %T are not supported: use RSA, ECDSA or Ed25519", public)
	}
	want := a2family(alg)
	if want == "PS" {
		want = "RS"
	}
	if want != family {
		return fmt.Errorf("the key does not fit %s", alg)
	}
	return nil
}

func allSame(bytes []byte, b byte) bool {
	return !slices.ContainsFunc(bytes, func(other byte) bool { return other != b })
}

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

// sampleSecrets are SHA-256 sums of secrets that stand in public documentation
// and are long enough to be taken for real ones.
var sampleSecrets = map[string]bool{
	hex.EncodeToString(sum([]byte("a-string-secret-at-least-256-bits-long"))):                                  true, // jwt.io
	hex.EncodeToString(sum([]byte("a-valid-string-secret-that-is-at-least-384-bits-long"))):                    true, // jwt.io
	hex.EncodeToString(sum([]byte("a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long"))): true, // jwt.io
	hex.EncodeToString(sum([]byte("super-secret-jwt-token-with-at-least-32-characters-long"))):                 true, // Supabase
	hex.EncodeToString(sum([]byte("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"))):        true, // FastAPI
}

// encoding is base64url without padding; strict, so that a token has one
// spelling only (RFC 4648 §3.5).
var encoding = base64.RawURLEncoding.Strict()

// signed is what one key of several may have signed, all of the same algorithm.
type signed struct {
	input     string
	signature []byte
	hash      []byte // of the input; nil: no screen has asked for it yet
}

// by reports whether the signature is the key's.
func (s *signed) by(k *Key) bool {
	if k.screen != nil {
		if s.hash == nil {
			s.hash = digest(k.hash, []byte(s.input))
		}
		if !k.screen(s.hash, s.signature) {
			return false
		}
	}
	return k.method.Verify(s.input, s.signature, k.verify) == nil
}

// signCompact makes a compact JWS of a payload, with a header of our own
// making: alg, kid where the key has one, and typ where it is not empty.
func (k *Key) signCompact(typ string, payload []byte) (string, error) {
	if k.sign == nil {
		return "", fmt.Errorf("key %q cannot sign: it is a public key", k.ID)
	}
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid,omitempty"`
		Typ string `json:"typ,omitempty"`
	}{k.Algorithm, k.ID, typ})
	if err != nil {
		return "", fmt.Errorf("encoding the header: %w", err)
	}
	input := encoding.EncodeToString(header) + "." + encoding.EncodeToString(payload)
	signature, err := k.method.Sign(input, k.sign)
	if err != nil {
		return "", fmt.Errorf("signing with key %q: %w", k.ID, err)
	}
	return input + "." + encoding.EncodeToString(signature), nil
}

// SignJSON makes a compact JWS of a JSON object that is already written. It fails
// when the key cannot sign.
func SignJSON(k *Key, typ string, claims []byte) (string, error) { return k.signCompact(typ, claims) }

// Sign makes a compact JWS of those claims. It fails when the key cannot sign
// or a claim cannot be written as JSON.
func Sign(k *Key, typ string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encoding the claims: %w", err)
	}
	return k.signCompact(typ, payload)
}
