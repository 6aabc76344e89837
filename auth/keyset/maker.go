package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
)

// makers make a private key for each algorithm that can sign, in the form in
// which a ring keeps it.
var makers = map[string]func() ([]byte, error){
	"HS256": makeSecret, "HS384": makeSecret, "HS512": makeSecret,
	"RS256": makeRSA, "RS384": makeRSA, "RS512": makeRSA,
	"PS256": makeRSA, "PS384": makeRSA, "PS512": makeRSA,
	"ES256": func() ([]byte, error) { return makeEC(elliptic.P256()) },
	"ES384": func() ([]byte, error) { return makeEC(elliptic.P384()) },
	"ES512": func() ([]byte, error) { return makeEC(elliptic.P521()) },
	"EdDSA": makeEd25519,
}

// makeSecret is long enough for every HS* (RFC 7518 §3.2).
func makeSecret() ([]byte, error) {
	secret := make([]byte, 64)
	rand.Read(secret) // never fails
	return secret, nil
}

// makeRSA makes the size that everybody's verifiers take (RFC 7518 §3.3). It
// lasts for as long as a key does that is rotated.
func makeRSA() ([]byte, error) { return pkcs8(rsa.GenerateKey(rand.Reader, 2048)) }

func makeEC(curve elliptic.Curve) ([]byte, error) {
	return pkcs8(ecdsa.GenerateKey(curve, rand.Reader))
}

func makeEd25519() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return pkcs8(key, err)
}

func pkcs8(key crypto.Signer, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(key)
}
