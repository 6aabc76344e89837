package token

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// A session id is 20 bytes: the first 4 are of a hash of issuer and subject,
// the others are random. A store that spreads its keys can so keep a subject's
// sessions and the list of them in one place.
const (
	sessionIDBytes = 20
	ownerBytes     = 4
)

// encoding is how ids and refresh tokens are written. It skips line ends: those
// who read by it must check the length.
var encoding = base64.RawURLEncoding.Strict()

// NewSessionID makes the id of a session of that subject: 27 characters of
// base64url. The issuer is the configured name.
func NewSessionID(issuer, subject string) string {
	var id [sessionIDBytes]byte
	copy(id[:], sessionOwner(issuer, subject))
	rand.Read(id[ownerBytes:]) // never fails: crypto/rand ends the process rather
	return encoding.EncodeToString(id[:])
}

// SubjectHash stands for a subject, and for all of its sessions: its first byte
// is their SessionShard. The issuer is the configured name.
func SubjectHash(issuer, subject string) [32]byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(issuer)))
	sum := sha256.Sum256(append(append(b, issuer...), subject...))
	sum[0] &= 0x7f // so that no id begins with a hyphen, as a flag does
	return sum
}

func sessionOwner(issuer, subject string) []byte {
	sum := SubjectHash(issuer, subject)
	return sum[:ownerBytes]
}

// sessionIsOf reports whether NewSessionID made the id for that subject. A made
// up id is taken for one once in four thousand million times.
func sessionIsOf(sid, issuer, subject string) bool {
	id, ok := parseSessionID(sid)
	return ok && bytes.Equal(id[:ownerBytes], sessionOwner(issuer, subject))
}

// SessionShard returns what all sessions of one subject have in common; ok is
// false for an id that NewSessionID cannot have made.
func SessionShard(sid string) (shard uint8, ok bool) {
	id, ok := parseSessionID(sid)
	return id[0], ok
}

func parseSessionID(sid string) (id [sessionIDBytes]byte, ok bool) {
	if len(sid) != encoding.EncodedLen(sessionIDBytes) {
		return id, false
	}
	n, err := encoding.Decode(id[:], []byte(sid))
	return id, err == nil && n == sessionIDBytes
}
