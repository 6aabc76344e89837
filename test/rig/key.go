package rig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// Hash is the hex SHA-256 of an API key.
func Hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// KeyPairs are key pairs by what they are: RSA, P-256, P-384, P-521, Ed25519.
// They are made once: RSA keys take their time.
var KeyPairs = sync.OnceValue(func() map[string]crypto.Signer {
	pairs := map[string]crypto.Signer{"RSA": must(rsa.GenerateKey(rand.Reader, 2048))}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		pairs[curve.Params().Name] = must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	pairs["Ed25519"] = must(private, err)
	return pairs
})

// PrivatePEM is the private key in PKCS #8.
func PrivatePEM(key crypto.Signer) string {
	return encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
}

// PublicPEM is the public key in PKIX.
func PublicPEM(key crypto.Signer) string {
	return encode("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.Public())))
}

// CertificatePEM is a certificate of the key for loopback, signed by itself.
func CertificatePEM(key crypto.Signer) string {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gw.example"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"gw.example"},
	}
	return encode("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)))
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// must is for what cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
