package keyset

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

func TestParseEncryptionKey(t *testing.T) {
	good := strings.Repeat("0aF1", 16)
	if key, err := ParseEncryptionKey(good); err != nil || !bytes.Equal(key, bytes.Repeat([]byte{0x0a, 0xf1}, 16)) {
		t.Errorf("%x, %v", key, err)
	}
	for _, bad := range []string{"", good[2:], good + "00", good[1:], good[1:] + "g", good + "\n", strings.Repeat("A", 43) + "="} {
		if key, err := ParseEncryptionKey(bad); key != nil || err == nil || !strings.Contains(err.Error(), "64 hex digits") || len(bad) > 0 && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %x, %v", bad, key, err)
		}
	}
}

func newTestSealer(t *testing.T, issuer string, key []byte) *sealer {
	t.Helper()
	s, err := newSealer(issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	s := newTestSealer(t, "main", encryptionKey)
	sealed := s.seal([]byte("text"))
	if text, err := newTestSealer(t, "main", encryptionKey).open(sealed); err != nil || string(text) != "text" {
		t.Fatalf("%q, %v", text, err)
	}
	// What is in stores now must open for as long as the format is 1.
	old, err := hex.DecodeString("0177987d1e6c224334263d46f469c7c2020307096df542be10a75ef8f90586cf516b55b1fad40664ac")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := s.open(old); err != nil || string(text) != "text" {
		t.Fatalf("sealed long ago: %q, %v", text, err)
	}
	if again := s.seal([]byte("text")); bytes.Equal(sealed, again) || bytes.Contains(sealed, []byte("text")) {
		t.Error("the same text is sealed the same way twice, or not at all")
	}
	for i := range sealed {
		for bit := range 8 {
			damaged := bytes.Clone(sealed)
			damaged[i] ^= 1 << bit
			if text, err := s.open(damaged); text != nil || err == nil {
				t.Errorf("byte %d, bit %d changed: %q", i, bit, text)
			}
		}
	}
	later := *s
	later.head = append([]byte{sealFormat + 1}, s.head[1:]...)
	if text, err := s.open(append([]byte{sealFormat}, later.seal([]byte("text"))[1:]...)); text != nil || err == nil {
		t.Errorf("another format passes for this one: %q", text)
	}
	other := bytes.Clone(encryptionKey)
	other[31]++
	for want, open := range map[string]func() ([]byte, error){
		"encrypted under another key": func() ([]byte, error) { return newTestSealer(t, "main", other).open(sealed) },
		"is another issuer's":         func() ([]byte, error) { return newTestSealer(t, "other", encryptionKey).open(sealed) },
		"was damaged":                 func() ([]byte, error) { return s.open(sealed[:len(sealed)-1]) },
		"or is":                       func() ([]byte, error) { return s.open(sealed[:len(s.head)]) },
		"cut short":                   func() ([]byte, error) { return s.open(sealed[:len(s.head)-1]) },
		"it is cut":                   func() ([]byte, error) { return s.open(nil) },
		"the format 2":                func() ([]byte, error) { return s.open(append([]byte{2}, sealed[1:]...)) },
	} {
		if text, err := open(); text != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %v, want %s", text, err, want)
		}
	}
}

// ringWith is a ring as it is stored, with one key x, which need not be good.
func ringWith(t *testing.T, alg string, private any) []byte {
	t.Helper()
	stored, ok := private.([]byte)
	if !ok {
		var err error
		if stored, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(ringDocument{ringRecords{{KID: "x", Algorithm: alg, Private: stored}}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A ring that cannot be read is told of and left alone, by those who know its
// keys as by those who do not.
func TestUnreadableRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newRingStore()
		knows, _ := runRing(t, ringConfig(store))
		pass(2 * poll)
		first := knows.Signer()
		good, _ := store.raw("main")
		s := newTestSealer(t, "main", encryptionKey)
		other := newTestSealer(t, "main", bytes.Repeat([]byte{9, 8}, 16))
		text, err := s.open(good)
		if err != nil {
			t.Fatal(err)
		}
		agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
		p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		weak, err3 := rsa.GenerateKey(rand.Reader, 1024)
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			data []byte
			want string
		}{
			"another key":      {other.seal(text), "another key: give the issuer's key_ring the encryption key"},
			"damaged":          {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), "was damaged"},
			"empty":            {[]byte{}, "cut short"},
			"no key":           {s.seal([]byte(`{"keys":[]}`)), "it has no key"},
			"no JSON":          {s.seal(text[1:]), "cannot be read"},
			"a later member":   {s.seal(append([]byte(`{"more":1,`), text[1:]...)), `unknown field "more"`},
			"later algorithm":  {s.seal(bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("ES256"), []byte("ES999")), []byte(first.ID), []byte("another"))), `kid "another": unknown algorithm`},
			"a private key so": {s.seal([]byte(`{"keys":[{"kid":"x","alg":"ES256","private":"AAAA"}]}`)), `kid "x": asn1: `},
			"one to agree by":  {s.seal(ringWith(t, "ES256", agreement)), `kid "x": a private key of type *ecdh.PrivateKey cannot sign`},
			"another curve's":  {s.seal(ringWith(t, "ES256", p384)), `kid "x": `},
			"a weak key":       {s.seal(ringWith(t, "RS256", weak)), `kid "x": the RSA key has 1024 bits`},
			"a key as secret":  {s.seal(ringWith(t, "HS256", bytes.Repeat([]byte{7}, 64))), `kid "x": the secret is one byte repeated`},
			"no algorithm":     {s.seal(ringWith(t, "none", p384)), `kid "x": unknown algorithm "none"`},
			"one bad of two":   {s.seal(append(bytes.TrimSuffix(bytes.Clone(text), []byte("]}")), `,{"kid":"x","alg":"ES256"}]}`...)), `kid "x": `},
			"a short secret":   {s.seal([]byte(`{"keys":[{"kid":"x","alg":"HS256","private":"AAAA"}]}`)), `kid "x": the secret for HS256 has 3 bytes`},
		} {
			store.put("main", c.data)
			fresh, end := runRing(t, ringConfig(store))
			pass(4 * poll)
			if fresh.Ready() || !knows.Ready() || knows.Signer() != first {
				t.Errorf("%s: a ring that was not read is ready, or one that knows its keys is not", name)
			}
			for _, r := range []*Ring{fresh, knows} {
				if err := r.Load(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "left as it is") {
					t.Errorf("%s: %v, want %s", name, err, c.want)
				}
				if _, err := r.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: rotated: %v", name, err)
				}
			}
			if now, _ := store.raw("main"); !bytes.Equal(now, c.data) {
				t.Errorf("%s: it was written over", name)
			}
			end()
			store.put("main", good)
			pass(2 * poll)
		}
	})
}
