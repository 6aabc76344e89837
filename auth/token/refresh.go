package token

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth"
)

// RefreshGrant asks for new tokens in a session (RFC 6749 §6).
type RefreshGrant struct {
	Request
	RefreshToken string
	Scopes       []string // nil: as at login; never more
}

// Refresh replaces a refresh token, which can be used once, and issues an access
// token with the user's claims as they are now. Within RefreshGrace the same
// refresh token is answered with the same successor. Later use of it ends the
// session: one of two who have it has stolen it (RFC 9700 §4.14.2).
func (e *Engine) Refresh(ctx context.Context, g RefreshGrant) (Grant, error) {
	client, err := e.party(g.Client)
	if err != nil {
		return Grant{}, err
	}
	if g.RefreshToken == "" {
		return Grant{}, refuse(auth.RequestMalformed, "the refresh token is missing")
	}
	if e.cfg.RefreshTTL == 0 {
		return Grant{}, refuse(auth.GrantUnsupported, "no refresh tokens are issued here")
	}
	presented, ok := parseRefreshToken(g.RefreshToken)
	if !ok {
		return Grant{}, &Error{Reason: auth.GrantInvalid}
	}
	now := e.cfg.Now()
	s, client, err := e.refreshable(ctx, presented, client, now)
	if err != nil {
		return Grant{}, err
	}
	scopes := s.Scopes
	if len(g.Scopes) > 0 && client != nil && !client.scopeless {
		if scopes, err = within(g.Scopes, s.Scopes); err != nil {
			return Grant{}, err
		}
	}
	user, claims, err := e.reread(ctx, g.Request, s, auth.GrantInvalid)
	if err != nil {
		return Grant{}, err
	}
	grant, err := e.sign(now, accessToken{
		subject: s.Subject, session: s.ID, client: s.ClientID, scopes: client.keep(scopes),
		claims: claims, authTime: s.AuthTime, life: e.accessTTL(client),
	})
	if err != nil {
		return Grant{}, err
	}
	next, err := e.rotate(ctx, g.Request, s, presented, now)
	if err != nil {
		return Grant{}, err
	}
	grant.RefreshToken, grant.User = next.encode(), user
	return grant, nil
}

// refreshable returns the session, and the client that it belongs to, if a good
// refresh token of it may be used by who asks. One that was made up costs no
// more than the look-up: ids of sessions stand in every access token.
func (e *Engine) refreshable(ctx context.Context, presented refreshToken, asks *party, now time.Time) (Session, *party, error) {
	s, err := e.cfg.Sessions.Session(ctx, presented.sessionID())
	if errors.Is(err, ErrNoSession) || err == nil && s.Issuer != e.cfg.Issuer.Name {
		return s, nil, &Error{Reason: auth.GrantInvalid, Err: err}
	}
	if err != nil {
		return s, nil, down(ctx, auth.StoreUnavailable, err)
	}
	if !same(s.Refresh.Family, presented.hashes().Family) {
		return s, nil, &Error{Reason: auth.GrantInvalid, Err: fmt.Errorf("the refresh token was made up: session %s has no such", s.ID)}
	}
	owner, ok := e.owner(s, asks)
	if !ok {
		return s, nil, &Error{Reason: auth.GrantInvalid, Err: fmt.Errorf("session %s belongs to client %q, not to %q", s.ID, s.ClientID, asks.name())}
	}
	if err := owner.may(GrantRefresh); err != nil {
		return s, nil, err
	}
	revoked, err := s.Revoked(ctx, e.cfg.List, now)
	switch {
	case err != nil:
		return s, nil, down(ctx, auth.StoreUnavailable, err)
	case revoked:
		return s, nil, &Error{Reason: auth.GrantInvalid, Err: fmt.Errorf("session %s has been revoked", s.ID)}
	case e.cfg.List.Stale(now):
		return s, nil, &Error{Reason: auth.RevocationStale}
	case e.over(s.AuthTime, now):
		return s, nil, &Error{Reason: auth.GrantInvalid, Err: fmt.Errorf("session %s has lasted for %s", s.ID, e.cfg.MaxSession)}
	}
	return s, owner, nil
}

// owner returns the client of a session if who asks is that client (RFC 6749
// §6). Where nobody says who asks, it can be a client that could only have said
// its name: some dialects have no room for it.
func (e *Engine) owner(s Session, asks *party) (client *party, ok bool) {
	if asks != nil || s.ClientID == "" {
		return asks, asks.name() == s.ClientID
	}
	c := e.clients[s.ClientID]
	if c == nil || c.confidential() {
		return nil, false
	}
	return &party{Client: *c}, true
}

// reread returns the user of a session as it is now, and its claims. When it is
// gone or disabled the session ends, and the error has that reason.
func (e *Engine) reread(ctx context.Context, r Request, s Session, gone auth.Reason) (User, []byte, error) {
	user, err := e.cfg.Users.Reread(ctx, s)
	if err == nil && user.ID != s.Subject {
		err = ErrLogin // another user has the name now
	}
	if errors.Is(err, ErrLogin) {
		if err := e.end(ctx, s.ID); err != nil {
			return User{}, nil, err
		}
		e.audit(ctx, slog.LevelInfo, "session ended: its user is gone or disabled", r, of(s.ID, s.Subject, s.ClientID)...)
		return User{}, nil, &Error{Reason: gone, Err: err}
	}
	if err != nil {
		return User{}, nil, down(ctx, auth.UsersUnavailable, err)
	}
	if email, err := jsontext.AppendUnquote(nil, user.Claims["email"]); user.Email == "" && err == nil {
		user.Email = string(email)
	}
	claims, err := e.claims(user)
	if err != nil {
		return User{}, nil, &Error{Reason: auth.UsersUnavailable, Err: fmt.Errorf("source %q: %w", user.Source, err)}
	}
	return user, claims, nil
}

// rotate replaces the presented refresh token, which takes one atomic step in
// the store, and returns its successor.
func (e *Engine) rotate(ctx context.Context, r Request, s Session, presented refreshToken, now time.Time) (refreshToken, error) {
	var salt [32]byte
	rand.Read(salt[:]) // never fails: crypto/rand ends the process rather
	next := presented.successor(salt)
	result, kept, err := e.cfg.Sessions.RotateSession(ctx, s.ID, Rotation{
		Presented: presented.hashes(), Next: next.hashes().Current, Salt: salt,
		Grace: e.cfg.RefreshGrace, Expires: e.refreshEnd(now, s.AuthTime),
	})
	if err != nil {
		return next, down(ctx, auth.StoreUnavailable, err)
	}
	switch result {
	case Rotated:
		return next, nil
	case RotationRepeated:
		return presented.successor(kept), nil
	case RotationReplayed:
		return next, e.endReplayed(ctx, r, s, auth.GrantInvalid)
	}
	return next, &Error{Reason: auth.GrantInvalid}
}

// endReplayed ends a session whose refresh token was replayed. It returns the
// error with that reason, or why the session has not ended yet: then whatever
// comes of it next ends it.
func (e *Engine) endReplayed(ctx context.Context, r Request, s Session, reason auth.Reason) error {
	if err := e.end(ctx, s.ID); err != nil {
		return err
	}
	e.audit(ctx, slog.LevelWarn, "refresh token replayed: session ended", r, of(s.ID, s.Subject, s.ClientID)...)
	e.cfg.Replayed()
	return &Error{Reason: reason}
}
