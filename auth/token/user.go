package token

import (
	"context"
	"encoding/json"
	"errors"
)

// User is who logs in.
type User struct {
	ID       string // becomes `sub`
	Username string // canonical; what it was looked up by
	Source   string // which source knew it: asked again by refreshes
	Email    string // empty: unknown; becomes the claim `email`
	// Claims are for access tokens. Names that the engine sets itself
	// (ReservedClaim) have no effect.
	Claims map[string]json.RawMessage
}

// Errors of Users. Any other means that the users cannot be looked up now.
var (
	// ErrLogin: no such user, another password, or a disabled user. Which one it
	// is must show in nothing, the time that it takes included.
	ErrLogin = errors.New("the user name or password is wrong, or the user is disabled")
	// ErrBusy: more passwords are being checked than the configuration allows.
	ErrBusy = errors.New("too many logins are under way")
)

// Users are where user names and passwords are checked.
type Users interface {
	// Login returns the user with that canonical name and that password.
	Login(ctx context.Context, username, password string) (User, error)
	// Reread returns the user of a session as it is now; ErrLogin when it is
	// gone, disabled, or has another id.
	Reread(ctx context.Context, s Session) (User, error)
}

// ReservedClaim reports whether the engine sets the claim itself, so that a
// user's record cannot.
func ReservedClaim(name string) bool { return reservedClaims[name] }

var reservedClaims = map[string]bool{
	"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true, "jti": true,
	"sid": true, "auth_time": true, "client_id": true, "azp": true, "scope": true, "scp": true, "cnf": true, "act": true,
}
