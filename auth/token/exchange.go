package token

import (
	"context"
	"errors"
	"time"

	"gatehouse/auth"
)

// Exchange asks for another token in place of the bearer token in the caller's
// credentials.
type Exchange struct{ Request }

// Exchange issues a new access token in the session of the presented one, which
// is worth nothing from then on. Nothing is exchanged past the end of a session,
// counted from auth_time, nor for a client that has to authenticate: whoever has
// its token only would go round that.
func (e *Engine) Exchange(ctx context.Context, x Exchange) (Grant, error) {
	now := e.cfg.Now()
	t, err := e.verify(ctx, x.Caller.Credentials, now)
	switch {
	case err != nil:
		return Grant{}, err
	case t.SignedByClient():
		// Its ids may be those of another's tokens, which would be revoked.
		return Grant{}, refuse(auth.TokenUntrusted, "a token that is signed with the client's secret cannot be exchanged: authenticate again")
	case e.over(t.AuthTime(), now):
		return Grant{}, &Error{Reason: auth.TokenExpired}
	case e.configured(t.ClientID()).authenticates():
		return Grant{}, refuse(auth.ClientForbidden, "this client has a secret, and asks for its tokens with it")
	}
	grant, err := e.succeed(ctx, x.Request, t, now)
	if err != nil {
		return Grant{}, err
	}
	if err := e.revoke(ctx, auth.KindToken, t.ID()); err != nil {
		return Grant{}, err
	}
	return grant, nil
}

// succeed makes the new token. A user of ours is read again. Tokens of the issuer that were made elsewhere keep their claims.
func (e *Engine) succeed(ctx context.Context, r Request, t *auth.Token, now time.Time) (Grant, error) {
	if !e.madeFor(t) {
		return e.reissue(t, now)
	}
	client := e.configured(t.ClientID())
	s, err := e.cfg.Sessions.Session(ctx, t.SessionID())
	switch {
	case errors.Is(err, ErrNoSession), err == nil && (s.Subject != t.Subject() || s.ClientID != t.ClientID()):
		return Grant{}, &Error{Reason: auth.TokenRevoked, Err: err}
	case err != nil:
		return Grant{}, down(ctx, auth.StoreUnavailable, err)
	case s.Replayed:
		return Grant{}, e.endReplayed(ctx, r, s, auth.TokenRevoked)
	}
	user, claims, err := e.reread(ctx, r, s, auth.TokenRevoked)
	if err != nil {
		return Grant{}, err
	}
	grant, err := e.sign(now, accessToken{
		subject: s.Subject, session: s.ID, client: s.ClientID, scopes: client.keep(t.Scopes()),
		claims: claims, authTime: s.AuthTime, life: e.accessTTL(client),
	})
	grant.User = user
	return grant, err
}

// configured returns the client with that id; nil when there is none.
func (e *Engine) configured(id string) *party {
	c := e.clients[id]
	if c == nil {
		return nil
	}
	return &party{Client: *c}
}

// authenticates reports whether it is a client that has a secret.
func (p *party) authenticates() bool { return p != nil && p.confidential() }

// reissue makes the successor of a token that is not from here. One without
// `sid` is a session by itself, which the revocation of its id ends: it gets a
// new one, the same for all who exchange it at once, so that whichever of them
// logs out ends them all.
func (e *Engine) reissue(t *auth.Token, now time.Time) (Grant, error) {
	if e.cfg.Issuer.Keys.Signer() == nil {
		return Grant{}, e.noSigner()
	}
	session := t.SessionID()
	if session == t.ID() {
		session = digest("exchanged", session) // not of the form that sessions of ours have
	}
	expires := e.expiry(now, t.AuthTime(), e.cfg.AccessTTL)
	compact, id, err := t.Reissue(now, time.Unix(expires, 0), session)
	if err != nil {
		return Grant{}, e.notIssued(t.Subject(), err)
	}
	return Grant{
		AccessToken: compact, ExpiresIn: time.Duration(expires-now.Unix()) * time.Second,
		Scopes: t.Scopes(), Subject: t.Subject(), SessionID: session, TokenID: id,
	}, nil
}
