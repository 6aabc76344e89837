package keyset

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// A sealed ring is a byte for the format, eight that tell which key it is
// sealed under, and AES-256-GCM with a random nonce in front. Format and
// issuer are authenticated with it, so that no ring passes for another's.
const (
	sealFormat   = 1
	sealMark     = 8 // bytes
	sealKeyBytes = 32
)

// ParseEncryptionKey reads the key that a ring is encrypted under: 64 hex
// digits. Errors never quote it.
func ParseEncryptionKey(text string) ([]byte, error) {
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != sealKeyBytes {
		return nil, errors.New("want 64 hex digits, as openssl rand -hex 32 prints them")
	}
	return key, nil
}

// sealer encrypts the ring of one issuer.
type sealer struct {
	issuer string
	head   []byte // format and mark
	aead   cipher.AEAD
}

func newSealer(issuer string, key []byte) (*sealer, error) {
	switch {
	case len(key) != sealKeyBytes:
		return nil, fmt.Errorf("the encryption key has %d bytes instead of %d", len(key), sealKeyBytes)
	case bytes.Count(key, key[:1]) == len(key):
		return nil, errors.New("the encryption key is one byte repeated: make a random one with openssl rand -hex 32")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	mark := hmac.New(sha256.New, key)
	mark.Write([]byte("gatehouse key ring: which key is this"))
	return &sealer{issuer: issuer, head: append([]byte{sealFormat}, mark.Sum(nil)[:sealMark]...), aead: aead}, nil
}

func (s *sealer) context() []byte { return append(bytes.Clone(s.head), s.issuer...) }

func (s *sealer) seal(text []byte) []byte {
	return s.aead.Seal(bytes.Clone(s.head), nil, text, s.context())
}

// open fails, without a word about what is in it, on all that was not sealed
// with the same key for the same issuer.
func (s *sealer) open(data []byte) ([]byte, error) {
	switch {
	case len(data) < len(s.head):
		return nil, errors.New("it is cut short")
	case data[0] != sealFormat:
		return nil, fmt.Errorf("it has the format %d, and this program knows %d only: is another version of it at work?", data[0], sealFormat)
	case !bytes.Equal(data[:len(s.head)], s.head):
		return nil, errors.New("it is encrypted under another key: give the issuer's key_ring the encryption key that every replica has")
	}
	text, err := s.aead.Open(nil, nil, data[len(s.head):], s.context())
	if err != nil {
		return nil, errors.New("the encryption key is the right one, but the ring was damaged or is another issuer's")
	}
	return text, nil
}
