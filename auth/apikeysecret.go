package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// apiKeyPrefix begins every key that we make, so that scanners for leaked
// secrets can know it.
const apiKeyPrefix = "gh_"

// apiKeyRandomBytes is how much of a key is random.
const apiKeyRandomBytes = 32

// NewAPIKeySecret makes an API key: the prefix, then 256 random bits and their
// CRC-32 as unpadded base64url, 51 bytes in all. The plain text is for the
// client and is kept nowhere; the sum is what an [APIKey] has.
func NewAPIKeySecret() (plain string, sum [32]byte) {
	b := make([]byte, apiKeyRandomBytes, apiKeyRandomBytes+crc32.Size)
	rand.Read(b) // never fails: crypto/rand ends the process rather
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	plain = apiKeyPrefix + base64.RawURLEncoding.EncodeToString(b)
	return plain, sha256.Sum256([]byte(plain))
}

// MistypedAPIKey reports whether the text begins like a key that we make and
// is none, because a character is wrong, missing or too many. It tells a slip
// from a key that is not known; it says nothing about other people's keys and
// takes no part in a decision.
func MistypedAPIKey(text string) bool {
	encoded, ours := strings.CutPrefix(text, apiKeyPrefix)
	if !ours {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(b) != apiKeyRandomBytes+crc32.Size {
		return true
	}
	return binary.BigEndian.Uint32(b[apiKeyRandomBytes:]) != crc32.ChecksumIEEE(b[:apiKeyRandomBytes])
}
