package token

import (
	"context"
	"log/slog"

	"gatehouse/auth"
)

// Logout asks that the session of the bearer token in the caller's credentials
// end.
type Logout struct{ Request }

// Logout ends the session of a token: all that was renewed or refreshed in it is
// worth nothing from then on, whichever of its tokens this is. It returns the
// token; one that is not good is refused with what is wrong with it.
func (e *Engine) Logout(ctx context.Context, l Logout) (*auth.Token, error) {
	t, err := e.verify(ctx, l.Caller.Credentials, e.cfg.Now())
	if err != nil {
		return nil, err
	}
	return t, e.endWith(ctx, l.Request, t)
}

// endWith ends the session of a good token. A token without `sid` has its own id
// for one, as its renewals have. One that its client may have signed itself
// names only sessions of that client: the other ids in it may be anybody's.
func (e *Engine) endWith(ctx context.Context, r Request, t *auth.Token) error {
	if t.SignedByClient() && !e.madeFor(t) {
		return &Error{Reason: auth.TokenUntrusted}
	}
	if err := e.end(ctx, t.SessionID()); err != nil {
		return err
	}
	e.audit(ctx, slog.LevelInfo, "session ended: logout", r, of(t.SessionID(), t.Subject(), t.ClientID())...)
	return nil
}

// madeFor reports whether the token's session is one that we began for its
// subject.
func (e *Engine) madeFor(t *auth.Token) bool {
	return sessionIsOf(t.SessionID(), e.cfg.Issuer.Name, t.Subject())
}

// end ends a session. The revocation comes first: it is what its tokens die of.
// When it fails nothing is promised, and it can be repeated.
func (e *Engine) end(ctx context.Context, sid string) error {
	if err := e.revoke(ctx, auth.KindSession, sid); err != nil {
		return err
	}
	if _, ours := SessionShard(sid); !ours {
		return nil
	}
	if err := e.cfg.Ender.EndSession(ctx, sid); err != nil {
		return down(ctx, auth.StoreUnavailable, err)
	}
	return nil
}

// revoke puts a session or a token on the revocation list.
func (e *Engine) revoke(ctx context.Context, kind auth.Kind, id string) error {
	ask := auth.RevocationRequest{Kind: kind, ID: id, Issuer: e.cfg.Issuer.Name}
	entry, err := ask.Entry([]*auth.Issuer{e.cfg.Issuer}, e.cfg.Now())
	if err != nil {
		return &Error{Reason: auth.TokenClaims, Err: err} // an id that is too long
	}
	if err := e.cfg.Revoker.Revoke(ctx, entry); err != nil {
		return down(ctx, auth.StoreUnavailable, err)
	}
	return nil
}
