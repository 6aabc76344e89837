package keyset

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/auth"
)

func block(t *testing.T, typ string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func TestPEM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	type equaler interface{ Equal(crypto.PublicKey) bool }
	for _, k := range []crypto.Signer{rsaKey, ecKey, edKey} {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		private, err := PrivateKeyPEM(block(t, "PRIVATE KEY", der, err))
		if err != nil || !private.Public().(equaler).Equal(k.Public()) {
			t.Errorf("%T in PKCS #8: %v", k, err)
		}
		der, err = x509.MarshalPKIXPublicKey(k.Public())
		public, err := PublicKeyPEM(block(t, "PUBLIC KEY", der, err))
		if err != nil || !public.(equaler).Equal(k.Public()) {
			t.Errorf("%T in PKIX: %v", k, err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now().Add(time.Hour)}
		der, err = x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
		if public, err = PublicKeyPEM(block(t, "CERTIFICATE", der, err)); err != nil || !public.(equaler).Equal(k.Public()) {
			t.Errorf("%T in a certificate: %v", k, err)
		}
	}
	der, err := x509.MarshalECPrivateKey(ecKey)
	sec1 := append(block(t, "EC PARAMETERS", []byte{6, 0}, nil), block(t, "EC PRIVATE KEY", der, err)...)
	if _, err := PrivateKeyPEM(sec1); err != nil {
		t.Errorf("SEC 1 behind parameters: %v", err)
	}
	pkcs1 := block(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil)
	if _, err := PrivateKeyPEM(pkcs1); err != nil {
		t.Errorf("PKCS #1: %v", err)
	}
	if _, err := PublicKeyPEM(block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey), nil)); err != nil {
		t.Errorf("public PKCS #1: %v", err)
	}
	if _, err := PublicKeyPEM(pkcs1); err == nil || !strings.Contains(err.Error(), "private_key_file") {
		t.Errorf("a private key as a public one: %v", err)
	}
	for _, text := range []string{"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "-----BEGIN X-----\nAAAA\n-----END X-----\n"} {
		if _, err := PublicKeyPEM([]byte(text)); err == nil {
			t.Errorf("public: %q was taken", text)
		}
		if _, err := PrivateKeyPEM([]byte(text)); err == nil {
			t.Errorf("private: %q was taken", text)
		}
	}
}

func jwk(t *testing.T, key any, kid, alg, use string) string {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg, Use: use})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func set(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }

func TestParseJWKS(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	algorithms := []string{"RS256", "ES256", "PS256"}
	good := jwk(t, &rsaKey.PublicKey, "r1", "", "sig")
	keys, skipped, err := ParseJWKS(set(
		good,
		jwk(t, &p256.PublicKey, "e1", "ES256", ""),
		jwk(t, &rsaKey.PublicKey, "r2", "PS256", ""),
		jwk(t, &p256.PublicKey, "", "", ""),
		// each of these is left out
		jwk(t, &p384.PublicKey, "e2", "", ""),
		jwk(t, &rsaKey.PublicKey, "r3", "RS512", ""),
		jwk(t, &rsaKey.PublicKey, "r4", "", "enc"),
		jwk(t, rsaKey, "private", "", ""),
		jwk(t, []byte("a shared secret of thirty-two bytes!"), "oct", "HS256", ""),
		jwk(t, &p256.PublicKey, strings.Repeat("k", 129), "", ""),
		jwk(t, &rsaKey.PublicKey, "mismatch", "ES256", ""),
		`{"kty":"RSA","kid":"weak","n":"`+base64.RawURLEncoding.EncodeToString(make128(0xC1))+`","e":"AQAB"}`,
		`{"kty":"RSA","kid":"e1","n":"`+base64.RawURLEncoding.EncodeToString(rsaKey.N.Bytes())+`","e":"AQ"}`,
		`{"kty":"EC","crv":"P-256","kid":"off","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"kty":"new"}`, `7`, `null`,
	), algorithms)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range keys {
		got = append(got, k.ID+" "+k.Algorithm)
	}
	if fmt.Sprint(got) != "[r1 RS256 e1 ES256 r2 PS256  ES256]" {
		t.Errorf("kept %q", got)
	}
	if len(skipped) != 13 {
		t.Errorf("left out %d:\n%v", len(skipped), skipped)
	}
	for name, bad := range map[string][]byte{
		"none usable":  set(jwk(t, &p384.PublicKey, "e2", "", "")),
		"empty":        set(),
		"no keys":      []byte(`{}`),
		"no JSON":      []byte(`-----BEGIN`),
		"kid twice":    set(good, jwk(t, &p256.PublicKey, "r1", "", "")),
		"too many":     set(strings.Split(strings.Repeat(good+"\n", maxSetKeys+1)[:(len(good)+1)*(maxSetKeys+1)-1], "\n")...),
		"too large":    append(set(good), make([]byte, maxSetBytes)...),
		"an array":     []byte(`[` + good + `]`),
		"a lone key":   []byte(good),
		"a wrong type": []byte(`{"keys":{}}`),
	} {
		if keys, _, err := ParseJWKS(bad, algorithms); err == nil || keys != nil {
			t.Errorf("%s: %d keys, no error", name, len(keys))
		}
	}
}

func TestBoundsOfAKeySet(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nameless := strings.Split(strings.Repeat(jwk(t, &key.PublicKey, "", "", "")+"\n", maxSetKeys+1), "\n")
	most := set(nameless[:maxSetKeys]...)
	largest := append(most, strings.Repeat(" ", maxSetBytes-len(most))...)
	for name, c := range map[string]struct {
		set  []byte
		keys int
		want string
	}{
		"as many as may be":    {most, maxSetKeys, ""},
		"one too many":         {set(nameless[:maxSetKeys+1]...), 0, "the key set has 101 keys"},
		"as large as may be":   {largest, maxSetKeys, ""},
		"too large":            {append(largest, ' '), 0, "the key set has 524289 bytes"},
		"the longest kid":      {set(jwk(t, &key.PublicKey, strings.Repeat("k", 128), "", "")), 1, ""},
		"a kid that is longer": {set(jwk(t, &key.PublicKey, strings.Repeat("k", 129), "", "")), 0, "alg or use is longer than 128 bytes"},
		"a private key":        {set(jwk(t, key, "k", "", "")), 0, "it is a secret or a private key"},
		"no JSON":              {[]byte("x"), 0, "no JSON Web Key Set"},
		"no key":               {set("7"), 0, "it cannot be read as a JSON Web Key"},
	} {
		keys, _, err := ParseJWKS(c.set, []string{"ES256"})
		if len(keys) != c.keys || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}

func TestErrorsOfPEM(t *testing.T) {
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(agreement)
	for want, text := range map[string][]byte{
		"cannot sign":                       block(t, "PRIVATE KEY", der, err),
		"openssl pkey":                      block(t, "ENCRYPTED PRIVATE KEY", []byte{0}, nil),
		`"CERTIFICATE", want a PRIVATE KEY`: block(t, "CERTIFICATE", []byte{0}, nil),
		"no PEM block found":                []byte("x"),
		"asn1: ":                            block(t, "PRIVATE KEY", []byte{0x30, 0}, nil),
	} {
		if key, err := PrivateKeyPEM(text); key != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("private: %v, want %s", err, want)
		}
	}
	for want, text := range map[string][]byte{
		`"X", want a PUBLIC KEY`: block(t, "X", []byte{0}, nil),
		"no PEM block found":     nil,
		"x509: ":                 block(t, "CERTIFICATE", []byte{0x30, 0}, nil),
	} {
		if key, err := PublicKeyPEM(text); key != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("public: %v, want %s", err, want)
		}
	}
}

func TestPublicJWKS(t *testing.T) {
	var keys []*auth.Key
	algorithms := []string{}
	for alg := range makers {
		record, err := newRingRecord(alg)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, record.key)
		if !strings.HasPrefix(alg, "HS") {
			algorithms = append(algorithms, alg)
		}
	}
	text, err := PublicJWKS(keys)
	if err != nil {
		t.Fatal(err)
	}
	var members struct{ Keys []map[string]any }
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for _, m := range members.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if m[private] != nil {
				t.Errorf("the set tells %q of a key for %s", private, m["alg"])
			}
		}
		if m["use"] != "sig" || m["kid"] == "" || m["kid"] == nil {
			t.Errorf("a key for %s has use %v, kid %v", m["alg"], m["use"], m["kid"])
		}
	}
	read, skipped, err := ParseJWKS(text, algorithms)
	if err != nil || len(read) != len(algorithms) || len(skipped) != 0 {
		t.Fatalf("%d keys, %d left out, %v; want %d", len(read), len(skipped), err, len(algorithms))
	}
	published := auth.NewStaticKeys(read)
	for _, k := range keys {
		switch found := published.Find(k.ID); {
		case strings.HasPrefix(k.Algorithm, "HS"):
			if found != nil {
				t.Errorf("a secret for %s is published", k.Algorithm)
			}
		case found == nil || found.Algorithm != k.Algorithm:
			t.Errorf("%s: %v", k.Algorithm, found)
		default:
			wantVerified(t, k, found)
		}
	}
	if text, err := PublicJWKS(nil); string(text) != `{"keys":[]}` || err != nil {
		t.Errorf("no keys: %s, %v", text, err)
	}
}

// make128 is a modulus of 1024 bits.
func make128(first byte) []byte {
	b := make([]byte, 128)
	_, _ = rand.Read(b)
	b[0], b[127] = first, b[127]|1
	return b
}

func FuzzParseJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Add([]byte(`{"keys":[null,7,{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _, err := ParseJWKS(data, []string{"RS256", "ES256", "EdDSA"})
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys with error %v", len(keys), err)
		}
	})
}
