package token

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"

	"gatehouse/auth"
)

// Revocation asks that a token of the client be worth nothing any more (RFC
// 7009 §2.1). Of which kind it is can be seen from its form.
type Revocation struct {
	Request
	Token string
}

// Revoke ends the session of an access or refresh token. For a token that is not
// good, or another client's, nothing is done, which is no error (RFC 7009 §2.2).
func (e *Engine) Revoke(ctx context.Context, r Revocation) error {
	client, err := e.party(r.Client)
	switch {
	case err != nil:
		return err
	case client == nil:
		return refuse(auth.ClientInvalid, "the client must say who it is")
	case r.Token == "":
		return refuse(auth.RequestMalformed, "the token is missing")
	}
	if t, ok := parseRefreshToken(r.Token); ok {
		return e.revokeRefresh(ctx, r.Request, client, t)
	}
	t, err := e.verify(ctx, auth.BearerCredentials(r.Token), e.cfg.Now())
	if worthless(err) || err == nil && t.ClientID() != client.ID {
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.endWith(ctx, r.Request, t); !worthless(err) {
		return err
	}
	return nil
}

// worthless reports whether the error says that a token is not good, and not
// that we cannot tell.
func worthless(err error) bool { return reasonOf(err).Status() == 401 }

// reasonOf is the reason of an error of the engine, Undecided for any other and
// for none.
func reasonOf(err error) auth.Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return auth.Undecided
}

// revokeRefresh ends a session by any genuine refresh token of it, also by one
// that was used.
func (e *Engine) revokeRefresh(ctx context.Context, r Request, client *party, t refreshToken) error {
	s, err := e.cfg.Sessions.Session(ctx, t.sessionID())
	if errors.Is(err, ErrNoSession) {
		return nil
	}
	if err != nil {
		return down(ctx, auth.StoreUnavailable, err)
	}
	if s.Issuer != e.cfg.Issuer.Name || s.ClientID != client.ID || !same(s.Refresh.Family, t.hashes().Family) {
		return nil
	}
	if err := e.end(ctx, s.ID); err != nil {
		return err
	}
	e.audit(ctx, slog.LevelInfo, "session ended: logout", r, of(s.ID, s.Subject, s.ClientID)...)
	return nil
}

func same(a, b [32]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }
