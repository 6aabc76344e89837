package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"gatehouse/test/rig"
)

// verifyByJWKS verifies a token as a resource server would: with the keys that
// are published, and nothing else known.
func verifyByJWKS(t *testing.T, c *ordinary, token, algorithm string) {
	t.Helper()
	set := c.want(c.do("GET", "/.well-known/jwks.json", ""), 200)
	_, err := jwt.Parse(token, func(got *jwt.Token) (any, error) {
		for _, each := range set["keys"].([]any) {
			if key := each.(map[string]any); key["kid"] == got.Header["kid"] && key["alg"] == algorithm {
				return publicKey(key)
			}
		}
		return nil, fmt.Errorf("no key %v in %v", got.Header["kid"], set)
	}, jwt.WithValidMethods([]string{algorithm}), jwt.WithAudience("api"), jwt.WithIssuer("https://auth.example.com"),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding())
	if err != nil {
		t.Errorf("the token is not one of the published keys: %v", err)
	}
}

// publicKey reads a JWK (RFC 7518 §6.2.1, §6.3.1), which must have no private
// part.
func publicKey(key map[string]any) (any, error) {
	octets := func(name string) []byte {
		text, _ := key[name].(string)
		raw, _ := base64.RawURLEncoding.DecodeString(text)
		return raw
	}
	if key["d"] != nil || key["k"] != nil || key["use"] != "sig" {
		return nil, fmt.Errorf("not a public key for signatures: %v", key)
	}
	switch key["kty"] {
	case "RSA":
		return &rsa.PublicKey{N: new(big.Int).SetBytes(octets("n")), E: int(new(big.Int).SetBytes(octets("e")).Int64())}, nil
	case "EC":
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, octets("x"), octets("y")))
	}
	return nil, fmt.Errorf("what is a %v", key["kty"])
}

// verifyBySecret verifies a token of the dialect client_secret as its client
// does, and returns its claims.
func verifyBySecret(token string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(rig.PartnerSecret), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	return claims, err
}

// forge signs claims with the partner's secret.
func forge(t *testing.T, kid string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	token.Header["kid"] = kid
	text, err := token.SignedString([]byte(rig.PartnerSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// equal compares decoded JSON.
func equal(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
