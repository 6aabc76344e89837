package token

import (
	"context"
	"errors"
	"time"

	"gatehouse/auth"
)

// Session is one login, and all that is refreshed in it.
type Session struct {
	ID        string    // `sid`, see NewSessionID
	Issuer    string    // configured name
	Subject   string    // the user's id, `sub`
	Username  string    // canonical; what the user is looked up by again
	Source    string    // which of the sources of users knew it, see User
	ClientID  string    // who it was issued to; refresh tokens are bound to it; empty: no client
	Scopes    []string  // granted at login; a refresh can have no more
	Claims    []byte    // JSON object: the user's claims at login
	AuthTime  time.Time // when the password was checked, in whole seconds
	Refreshed time.Time // when a token was issued last
	Expires   time.Time // when it ends if it is not refreshed before, at most MaxSession after AuthTime
	Address   string    // the client's at login; empty: unknown

	// What the store says of a session that it returns; PutSession takes no
	// notice of them.
	Refresh  RefreshHashes // of its refresh token as it is now
	Replayed bool          // an old refresh token came again: it must end, see RotationReplayed
}

// RefreshHashes are what is kept of a session's refresh token: SHA-256 sums.
// The zero value is a session that cannot be refreshed.
type RefreshHashes struct {
	Family  [32]byte // of the part that all refresh tokens of the session share
	Current [32]byte // of the whole token that is good now
}

// Rotation asks that a session's refresh token be replaced.
type Rotation struct {
	Presented RefreshHashes // of the token that the client sent
	Next      [32]byte      // hash of its successor
	// Salt is what the successor was made with, together with the presented
	// token: who has one of them only cannot compute it. It is kept during the
	// grace, so that the same successor can be given again.
	Salt    [32]byte
	Grace   time.Duration // in which the presented token may come again
	Expires time.Time     // the session's new end
}

// RotationResult says what came of a [Rotation].
type RotationResult uint8

// The results.
const (
	// RotationUnknown: there is no such session, or the token is none of its.
	RotationUnknown RotationResult = iota
	// Rotated: the successor is the current token from now on.
	Rotated
	// RotationRepeated: the token was rotated already, within the grace. The
	// salt that is returned is the one which its successor was made with.
	RotationRepeated
	// RotationReplayed: the token is an old one of the session, which must end.
	// Every later rotation has the same result, until the session is ended.
	RotationReplayed
)

// ErrNoSession is in the error for a session that is not there, or is over.
var ErrNoSession = errors.New("there is no such session")

// Sessions are kept in the store. An error means that the store failed, but for
// ErrNoSession: what was asked for may have happened and can be repeated.
type Sessions interface {
	// PutSession adds a session.
	PutSession(ctx context.Context, s Session, r RefreshHashes) error
	// Session returns a session that is not over, else ErrNoSession.
	Session(ctx context.Context, id string) (Session, error)
	// RotateSession decides about a refresh token in one atomic step that is
	// safe to repeat, by the store's clock. The salt is set with RotationRepeated.
	RotateSession(ctx context.Context, id string, r Rotation) (result RotationResult, salt [32]byte, err error)
}

// SessionEnder takes sessions out of the store.
type SessionEnder interface {
	// EndSession removes a session; one that is not there is no error. That its
	// access tokens die is a revocation's doing, which must come first.
	EndSession(ctx context.Context, id string) error
}

// Limiter counts attempts in the store.
type Limiter interface {
	// Take counts one attempt against each of the limits, unless one of them is
	// used up: then none is counted, and wait is how long until it would be.
	Take(ctx context.Context, limits []Limit) (wait time.Duration, err error)
	// Return takes an attempt back that turned out to be none.
	Return(ctx context.Context, limits []Limit) error
}

// Limit is a bound on attempts: at most Max in Window, which begins with the
// first of them.
type Limit struct {
	Key    string // what is counted; hold no names in clear
	Max    int
	Window time.Duration
}

// Revoker writes to the revocation list. It returns nil once the entry cannot
// be lost and is in force in this process.
type Revoker interface {
	Revoke(ctx context.Context, r auth.Revocation) error
}

// Revoked reports whether the list covers the session: by its id, its subject,
// its client or its issuer. Its refresh tokens and its access tokens then are
// worth nothing. The error means that the store had to be asked and could not be
// had.
func (s Session) Revoked(ctx context.Context, list auth.RevocationList, now time.Time) (bool, error) {
	for _, r := range []auth.Revocation{
		{Kind: auth.KindSession, Issuer: s.Issuer, ID: s.ID},
		{Kind: auth.KindSubject, Issuer: s.Issuer, ID: s.Subject},
		{Kind: auth.KindClient, Issuer: s.Issuer, ID: s.ClientID},
		{Kind: auth.KindIssuer, ID: s.Issuer},
	} {
		if r.ID == "" {
			continue
		}
		c, err := list.Confirm(ctx, r, s.AuthTime.Unix(), now.Unix())
		if c != auth.NotCovered {
			return c == auth.Covered, err
		}
	}
	return false, nil
}
