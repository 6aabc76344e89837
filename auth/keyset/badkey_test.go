package keyset

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// rsaJWK is an RSA key with that modulus and exponent.
func rsaJWK(n *big.Int, e string) string {
	return fmt.Sprintf(`{"kty":"RSA","kid":"x","n":%q,"e":%q}`, base64.RawURLEncoding.EncodeToString(n.Bytes()), e)
}

// rocaModulus is one as the makers of CVE-2017-15361 make them, of 2048 bits.
func rocaModulus(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(2)
	for _, p := range smallPrimes {
		m.Mul(m, new(big.Int).SetUint64(p))
	}
	factor := func() *big.Int { // k·M + 65537^a mod M; being prime is no part of what is looked for
		a, err := rand.Int(rand.Reader, m)
		if err != nil {
			t.Fatal(err)
		}
		k := new(big.Int).Lsh(big.NewInt(3), uint(1024-2-m.BitLen()))
		return k.Mul(k, m).Add(k, a.Exp(big.NewInt(65537), a, m))
	}
	n := new(big.Int).Mul(factor(), factor())
	if n.BitLen() < 2040 {
		t.Fatalf("%d bits", n.BitLen())
	}
	return n
}

// Keys that are weak, broken or for something else are left out and counted; the
// others are taken. A set of nothing else is refused.
func TestQ08BadKeys(t *testing.T) {
	good := newKey(t, "good")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	n := private.N
	ec := func(crv, x, y string) string {
		return fmt.Sprintf(`{"kty":"EC","kid":"x","crv":%q,"x":%q,"y":%q}`, crv, x, y)
	}
	zeros, ones := strings.Repeat("A", 43), "AQ"+strings.Repeat("A", 41)
	bad := map[string]string{
		"a secret":              `{"kty":"oct","kid":"x","alg":"HS256","k":"` + zeros + `"}`,
		"a private key":         jwk(t, private, "x", "RS256", "sig"),
		"RSA of 1024 bits":      rsaJWK(new(big.Int).Rsh(n, 1024), "AQAB"),
		"RSA of 16384 bits":     rsaJWK(new(big.Int).Lsh(n, 14336), "AQAB"),
		"RSA of 2,000,000 bits": rsaJWK(new(big.Int).Lsh(n, 2_000_000), "AQAB"),
		"exponent 1":            rsaJWK(n, "AQ"),
		"exponent 0":            rsaJWK(n, "AA"),
		"exponent 65536":        rsaJWK(n, "AQAA"),
		"a huge exponent":       rsaJWK(n, strings.Repeat("AQAB", 16)),
		"no modulus":            `{"kty":"RSA","kid":"x","e":"AQAB"}`,
		"an even modulus":       rsaJWK(new(big.Int).Lsh(n, 1), "AQAB"),
		"a multiple of 167":     rsaJWK(new(big.Int).Mul(new(big.Int).Rsh(n, 8), big.NewInt(167*3)), "AQAB"),
		"ROCA":                  rsaJWK(rocaModulus(t), "AQAB"),
		"off the curve":         ec("P-256", ones, ones),
		"the point at infinity": ec("P-256", zeros, zeros),
		"a wrong curve":         ec("P-384", good.jwkMember("x"), good.jwkMember("y")),
		"secp256k1":             ec("secp256k1", good.jwkMember("x"), good.jwkMember("y")),
		"P-521, not allowed":    strings.Replace(good.jwk, `"ES256"`, `"ES512"`, 1),
		"for encryption":        strings.Replace(good.jwk, `"sig"`, `"enc"`, 1),
		"for wrapping keys":     strings.Replace(good.jwk, `"use":"sig"`, `"key_ops":["wrapKey","encrypt"]`, 1),
		"for nothing":           strings.Replace(good.jwk, `"use":"sig"`, `"key_ops":[]`, 1),
		"to sign, and public":   strings.Replace(good.jwk, `"use":"sig"`, `"use":"sig","key_ops":["sign"]`, 1),
		"key_ops of no kind":    strings.Replace(good.jwk, `"use":"sig"`, `"key_ops":"verify"`, 1),
		"alg none":              strings.Replace(good.jwk, `"ES256"`, `"none"`, 1),
		"alg HS256":             strings.Replace(good.jwk, `"ES256"`, `"HS256"`, 1),
		"alg of another type":   strings.Replace(good.jwk, `"ES256"`, `"RS256"`, 1),
		"a long alg":            strings.Replace(good.jwk, `"ES256"`, `"`+strings.Repeat("E", 100_000)+`"`, 1),
		"a long use":            strings.Replace(good.jwk, `"sig"`, `"`+strings.Repeat("s", 100_000)+`"`, 1),
		"an unknown kind":       `{"kty":"AKP","kid":"x"}`,
		"no kind":               `{"kid":"x"}`,
		"null":                  `null`,
		"a number":              `7`,
		"a list":                `[]`,
		"a kid that is none":    strings.Replace(good.jwk, `"good"`, `7`, 1),
		"an Ed25519 stub":       `{"kty":"OKP","crv":"Ed25519","kid":"x","x":"AAAA"}`,
		"X25519":                `{"kty":"OKP","crv":"X25519","kid":"x","x":"` + zeros + `"}`,
	}
	var all []string
	for name, text := range bad {
		keys, skipped, err := ParseJWKS(set(text, good.jwk), []string{"RS256", "ES256", "EdDSA"})
		if err != nil || len(keys) != 1 || keys[0].ID != "good" || len(skipped) != 1 {
			t.Errorf("%s beside a good one: %d keys, %v, %v", name, len(keys), skipped, err)
		} else if n := len(skipped[0].Error()); n > 500 {
			t.Errorf("%s: the reason has %d bytes", name, n)
		}
		if _, _, err := ParseJWKS(set(text), []string{"RS256", "ES256", "EdDSA"}); err == nil {
			t.Errorf("%s alone is taken", name)
		}
		if len(text) < 50_000 {
			all = append(all, text)
		}
	}
	for _, operations := range []string{`["verify"]`, `["sign","verify"]`, `null`} {
		text := strings.Replace(good.jwk, `"use":"sig"`, `"key_ops":`+operations, 1)
		if keys, _, err := ParseJWKS(set(text), []string{"ES256"}); err != nil || len(keys) != 1 {
			t.Errorf("key_ops %s: %v", operations, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := remoteConfig(newRingStore())
		log := logged(&cfg)
		from := startIDP(t)
		from.publish(append(all, good.jwk)...)
		r, _ := runRemote(t, cfg, from)
		pass(time.Hour)
		if remoteKids(r) != "[good]" || r.Skipped() != len(all) || strings.Count(log.String(), "left_out") != 1 {
			t.Errorf("keys %s, %d skipped of %d, logged %s", remoteKids(r), r.Skipped(), len(all), log)
		}
		from.publish(all...)
		pass(time.Hour)
		if remoteKids(r) != "[good]" {
			t.Errorf("after a set of bad keys: %s", remoteKids(r))
		}
		from.publish(good.jwk)
		pass(time.Hour)
		if r.Skipped() != 0 || strings.Count(log.String(), "left_out=0") != 1 {
			t.Errorf("%d skipped, logged %s", r.Skipped(), log)
		}
	})
}

// Good keys are not taken for ones that can be factored.
func TestFactorable(t *testing.T) {
	if !isFactorable(&rsa.PublicKey{N: rocaModulus(t), E: 65537}) {
		t.Error("a ROCA key is not recognised")
	}
	for range 3 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		if isFactorable(k.Public()) {
			t.Errorf("%x", k.N)
		}
	}
	// What no small prime divides is one only by all that we look at.
	n, one := rocaModulus(t), big.NewInt(2)
	for range 1000 {
		n.Add(n, one)
		if divides := slices.ContainsFunc(smallPrimes, func(p uint64) bool {
			return new(big.Int).Mod(n, new(big.Int).SetUint64(p)).Sign() == 0
		}); isFactorable(&rsa.PublicKey{N: n, E: 65537}) != divides {
			t.Errorf("%x: a small prime divides it: %t", n, divides)
		}
	}
}
