package threats

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"

	"gatehouse/test/rig"
)

// b64 is how tokens are encoded.
func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// payload is the JSON of a good token's claims, changed as asked.
func payload(t testing.TB, changes map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims(changes))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// jws makes a token of any header and payload.
func jws(header, payload string, sign func(input string) []byte) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(string(sign(input)))
}

// hs signs with an HMAC secret.
func hs(secret string) func(string) []byte {
	return func(input string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(input))
		return mac.Sum(nil)
	}
}

// good is a header with which `jws(good, payload, hs(secret))` is a good token.
const good = `{"alg":"HS256","kid":"hs","typ":"JWT"}`

// fixed is a signature that does not depend on what is signed.
func fixed(signature string) func(string) []byte {
	return func(string) []byte { return []byte(signature) }
}

func digest(input string) []byte {
	sum := sha256.Sum256([]byte(input))
	return sum[:]
}

// rsaKey and ecKey are private keys whose public halves main verifies with.
func rsaKey() *rsa.PrivateKey  { return rig.KeyPairs()["RSA"].(*rsa.PrivateKey) }
func ecKey() *ecdsa.PrivateKey { return rig.KeyPairs()["P-256"].(*ecdsa.PrivateKey) }

func rs256(input string) []byte {
	s, err := rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA256, digest(input))
	if err != nil {
		panic(err)
	}
	return s
}

// ps256 signs with a salt of that length.
func ps256(salt int) func(string) []byte {
	return func(input string) []byte {
		s, err := rsa.SignPSS(rand.Reader, rsaKey(), crypto.SHA256, digest(input), &rsa.PSSOptions{SaltLength: salt})
		if err != nil {
			panic(err)
		}
		return s
	}
}

// es256 signs, and lets change alter the numbers of the signature.
func es256(change func(r, s, n *big.Int)) func(string) []byte {
	return func(input string) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, ecKey(), digest(input))
		if err != nil {
			panic(err)
		}
		change(r, s, ecKey().Params().N)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func unchanged(_, _, _ *big.Int) {}
