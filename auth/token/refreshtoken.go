package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// refreshToken names its session, and proves that its holder may go on with it:
// the session's id, then 16 bytes that all refresh tokens of the session share,
// then 32 that only this one has. By the shared ones an old token is known for a
// genuine one for ever, and one that was made up is not. All are random, but for
// the last of a successor, see successor.
//
// It is a secret: never to be logged.
type refreshToken [refreshTokenBytes]byte

const (
	familyAt          = sessionIDBytes
	ownAt             = familyAt + 16
	refreshTokenBytes = ownAt + 32
)

// newRefreshToken makes the first of a session.
func newRefreshToken(sid string) (t refreshToken) {
	id, _ := parseSessionID(sid)
	copy(t[:], id[:])
	rand.Read(t[familyAt:]) // never fails: crypto/rand ends the process rather
	return t
}

// parseRefreshToken reads one; ok is false for what cannot be one. There is one
// spelling of each.
func parseRefreshToken(s string) (t refreshToken, ok bool) {
	if len(s) != encoding.EncodedLen(refreshTokenBytes) {
		return t, false
	}
	n, err := encoding.Decode(t[:], []byte(s))
	return t, err == nil && n == refreshTokenBytes
}

// encode returns the token as the client sees it: 91 characters of base64url.
func (t refreshToken) encode() string { return encoding.EncodeToString(t[:]) }

// String keeps it out of logs.
func (t refreshToken) String() string { return "[refresh token]" }

func (t refreshToken) sessionID() string { return encoding.EncodeToString(t[:familyAt]) }

func (t refreshToken) hashes() RefreshHashes {
	return RefreshHashes{Family: sha256.Sum256(t[familyAt:ownAt]), Current: sha256.Sum256(t[:])}
}

// successor is the token that follows, made with a salt that only the store
// knows: from both the same one can be made again for a client that has missed
// it, while neither an old token nor the store alone tells it.
func (t refreshToken) successor(salt [32]byte) refreshToken {
	mac := hmac.New(sha256.New, t[ownAt:])
	mac.Write(salt[:])
	copy(t[ownAt:], mac.Sum(nil))
	return t
}
