package auth

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"math/big"
	"strings"
	"testing"
)

// Each refusal says what is wrong with the key and what would be right.
func TestKeysThatAreRefused(t *testing.T) {
	random := []byte(strings.Repeat("aZ9", 40))
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := asymmetric()
	short := append(ed25519.PublicKey{}, keys["EdDSA"].Public().(ed25519.PublicKey)[:31]...)
	for _, c := range []struct {
		alg  string
		key  any
		want string
	}{
		{"RS256", random, "RS256 takes a key pair, not a secret"},
		{"EdDSA", random, "EdDSA takes a key pair, not a secret"},
		{"HS999", random, `unknown algorithm "HS999"`},
		{"none", random, `unknown algorithm "none"`},
		{"", random, `unknown algorithm ""`},
		{"HS256", random[:31], "the secret for HS256 has 31 bytes: it needs at least 32 random ones"},
		{"HS256", keys["RS256"].Public(), "HS256 takes a secret, not a key pair"},
		{"RS257", keys["RS256"].Public(), `unknown algorithm "RS257"`},
		{"none", keys["RS256"].Public(), `unknown algorithm "none"`},
		{"PS256", keys["ES256"].Public(), "the key does not fit PS256"},
		{"RS256", keys["ES256"].Public(), "the key does not fit RS256"},
		{"EdDSA", keys["RS256"].Public(), "the key does not fit EdDSA"},
		{"ES384", keys["ES256"].Public(), "ES384 needs a key on P-384, this one is on P-256"},
		{"EdDSA", short, "the Ed25519 key has 31 bytes instead of 32"},
		{"EdDSA", agreement.Public(), "keys of type *ecdh.PublicKey are not supported"},
		{"RS256", nil, "keys of type <nil> are not supported"},
		{"ES256", keys["RS256"], "the key does not fit ES256"},
	} {
		var k *Key
		var err error
		switch key := c.key.(type) {
		case []byte:
			k, err = NewSecretKey("k", c.alg, key)
		case crypto.Signer:
			k, err = NewSigningKey("k", c.alg, key)
		default:
			k, err = NewVerificationKey("k", c.alg, key)
		}
		if k != nil || err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s with %T: %v, want %s", c.alg, c.key, err, c.want)
		}
	}
	n := keys["RS256"].Public().(*rsa.PublicKey).N
	for name, k := range map[string]*rsa.PublicKey{
		"the largest modulus":   {N: new(big.Int).Lsh(n, 8192-2048), E: 65537},
		"the smallest exponent": {N: n, E: 3},
	} {
		if _, err := NewVerificationKey("k", "RS256", k); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// remoteSigner is a key whose private part is out of reach.
type remoteSigner struct{ crypto.Signer }

func (remoteSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, io.ErrUnexpectedEOF
}

func TestSignFails(t *testing.T) {
	public, err := NewVerificationKey("k1", "ES256", asymmetric()["ES256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	if token, err := Sign(public, "JWT", nil); token != "" || err == nil || !strings.Contains(err.Error(), `"k1" cannot sign`) {
		t.Errorf("a public key: %q, %v", token, err)
	}
	broken, err := NewSigningKey("k1", "ES256", remoteSigner{asymmetric()["ES256"]})
	if err != nil {
		t.Fatal(err)
	}
	if token, err := Sign(broken, "JWT", nil); token != "" || err == nil || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("a key that fails: %q, %v", token, err)
	}
	if token, err := Sign(keyFor(t, "k1", "HS256"), "JWT", map[string]any{"c": make(chan int)}); token != "" || err == nil {
		t.Errorf("claims that are no JSON: %q, %v", token, err)
	}
}

func TestSignerOfAKeySet(t *testing.T) {
	public, err := NewVerificationKey("public", "ES256", asymmetric()["ES256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	first, second := keyFor(t, "first", "HS256"), keyFor(t, "second", "HS256")
	if public.CanSign() || !first.CanSign() {
		t.Error("a public key can sign, or a secret cannot")
	}
	if got := NewStaticKeys([]*Key{public, first, second}).Signer(); got != first {
		t.Errorf("the signer is %v, want the first that can sign", got)
	}
	if got := NewStaticKeys([]*Key{public}).Signer(); got != nil {
		t.Errorf("a set of public keys signs with %v", got)
	}
	if got := NewStaticKeys([]*Key{keyFor(t, "", "HS256")}).Find(""); got != nil {
		t.Error("a key without kid was found by the empty kid")
	}
}

func TestPublicHalfOfAKey(t *testing.T) {
	for alg, private := range asymmetric() {
		verifies, err := NewVerificationKey("k", alg, private.Public())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*Key{keyFor(t, "k", alg), verifies} {
			if got, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !got.Equal(private.Public()) {
				t.Errorf("%s: %v, want the public half of its key", alg, k.Public())
			}
		}
	}
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		if got := keyFor(t, "k", alg).Public(); got != nil {
			t.Errorf("%s: %v, want nil: a secret has no public half", alg, got)
		}
	}
}

func TestJ27WeakSecrets(t *testing.T) {
	random := []byte(strings.Repeat("aZ9", 40))
	for alg, least := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		if _, err := NewSecretKey("k", alg, random[:least]); err != nil {
			t.Errorf("%s, %d bytes: %v", alg, least, err)
		}
		for _, bad := range [][]byte{nil, {}, random[:least-1], []byte(strings.Repeat("a", least)), []byte(strings.Repeat("a", 200))} {
			if _, err := NewSecretKey("k", alg, bad); err == nil {
				t.Errorf("%s took %q", alg, bad)
			}
		}
	}
	if _, err := NewSecretKey("k", "HS256", []byte("a-string-secret-at-least-256-bits-long")); err == nil {
		t.Error("jwt.io's secret was taken")
	}
	if _, err := NewSecretKey("k", "HS256", []byte("\n-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n")); err == nil {
		t.Error("a public key was taken for a secret")
	}
}

func TestWeakKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil { // Go refuses to make such a key unless told otherwise
		if _, err := NewVerificationKey("k", "RS256", &small.PublicKey); err == nil {
			t.Error("an RSA key of 1024 bits was taken")
		}
	}
	n := asymmetric()["RS256"].Public().(*rsa.PublicKey).N
	for _, k := range []crypto.PublicKey{
		&rsa.PublicKey{N: new(big.Int).Rsh(n, 1), E: 65537},
		&rsa.PublicKey{N: n, E: 1}, &rsa.PublicKey{N: n, E: 65536},
		&rsa.PublicKey{N: new(big.Int).Lsh(n, maxRSABits), E: 65537},
	} {
		if _, err := NewVerificationKey("k", "RS256", k); err == nil {
			t.Errorf("a weak RSA key was taken: e=%d, %d bits", k.(*rsa.PublicKey).E, k.(*rsa.PublicKey).N.BitLen())
		}
	}
	//lint:ignore SA1019 no other way makes a point that is not on its curve
	off := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	if _, err := NewVerificationKey("k", "ES256", off); err == nil {
		t.Error("a point off the curve was taken")
	}
	for _, alg := range []string{"none", "", "rs256", "ES256K"} {
		if _, err := NewVerificationKey("k", alg, asymmetric()["RS256"].Public()); err == nil {
			t.Errorf("algorithm %q was taken", alg)
		}
	}
}

func TestSignJSON(t *testing.T) {
	f := newFixture(t, "ES256")
	compact, err := SignJSON(f.key, "at+jwt", []byte(f.payload(`,"n":1.50`)))
	if err != nil {
		t.Fatal(err)
	}
	d := f.want(compact, OK)
	if string(d.Principal.Token.Claims().get("n")) != "1.50" || d.Principal.Token.text(textType) != "at+jwt" {
		t.Errorf("%s", compact)
	}
	public, err := NewVerificationKey("k", "ES256", f.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := SignJSON(public, "JWT", []byte("{}")); err == nil {
		t.Error("signed by a public key")
	}
}
