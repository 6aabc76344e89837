package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"gatehouse/auth"
)

// PasswordGrant is a login (RFC 6749 §4.3).
type PasswordGrant struct {
	Request
	Username, Password string
	Scopes             []string // nil: all that the client may have; without a client there are none
	NoRefresh          bool     // whoever asks has no use for a refresh token
}

// maxCredentialBytes bounds a user name, and a password before it is hashed.
const maxCredentialBytes = 1024

// noUsername is looked up in place of what cannot be a user name, so that it
// costs the same: nobody's name is the replacement character.
const noUsername = "\uFFFD"

// busyRetry is when to try again after too many logins at once.
const busyRetry = time.Second

// Password lets a user log in, which begins a session.
func (e *Engine) Password(ctx context.Context, g PasswordGrant) (Grant, error) {
	switch {
	case g.Username == "" || g.Password == "":
		return Grant{}, refuse(auth.RequestMalformed, "the user name and the password must not be empty")
	case len(g.Username) > maxCredentialBytes || len(g.Password) > maxCredentialBytes:
		return Grant{}, refuse(auth.RequestMalformed, "a user name and a password have at most %d bytes", maxCredentialBytes)
	}
	client, err := e.party(g.Client)
	if err != nil {
		return Grant{}, err
	}
	if err := client.may(GrantPassword); err != nil {
		return Grant{}, err
	}
	scopes, err := client.scopes(g.Scopes)
	if err != nil {
		return Grant{}, err
	}
	// The session begins before the password is looked at: what is revoked
	// because it has changed meanwhile includes this session.
	begun := e.cfg.Now().Truncate(time.Second)
	user, err := e.login(ctx, g)
	if err != nil {
		return Grant{}, err
	}
	return e.begin(ctx, g, client, Session{
		ID: NewSessionID(e.cfg.Issuer.Name, user.ID), Issuer: e.cfg.Issuer.Name, Subject: user.ID, Username: user.Username, Source: user.Source,
		ClientID: client.name(), Scopes: scopes, AuthTime: begun,
	}, user)
}

// login checks the password.
func (e *Engine) login(ctx context.Context, g PasswordGrant) (User, error) {
	name, ok := CanonicalUsername(g.Username)
	if !ok {
		name = noUsername
	}
	// A name that is none may be a password in the wrong field.
	who := slog.String("user", digest(name)[:16])
	limits := e.limits(name, g.Caller.Address)
	if err := e.take(ctx, limits); err != nil {
		if reasonOf(err) == auth.RateLimited {
			e.audit(ctx, slog.LevelWarn, "login limit reached", g.Request, who)
		}
		return User{}, err
	}
	user, err := e.cfg.Users.Login(ctx, name, g.Password)
	if err == nil && !ok {
		err = ErrLogin // a source that accepts everything
	}
	if errors.Is(err, ErrLogin) {
		e.audit(ctx, slog.LevelInfo, "login refused", g.Request, who, slog.String("reason", auth.CredentialsInvalid.String()))
		return User{}, &Error{Reason: auth.CredentialsInvalid}
	}
	if err == nil || ctx.Err() == nil { // a client that hangs up has had its guess
		e.giveBack(ctx, limits)
	}
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, ErrBusy):
		e.audit(ctx, slog.LevelInfo, "login refused", g.Request, who, slog.String("reason", auth.RateLimited.String()))
		return User{}, &Error{Reason: auth.RateLimited, RetryAfter: busyRetry, Err: err}
	}
	return User{}, down(ctx, auth.UsersUnavailable, err)
}

// begin stores the session and issues its first tokens.
func (e *Engine) begin(ctx context.Context, g PasswordGrant, client *party, s Session, user User) (Grant, error) {
	claims, err := e.claims(user)
	if err != nil {
		return Grant{}, &Error{Reason: auth.UsersUnavailable, Err: fmt.Errorf("source %q: %w", user.Source, err)}
	}
	now := e.cfg.Now()
	if revoked, err := s.Revoked(ctx, e.cfg.List, now); err != nil {
		return Grant{}, down(ctx, auth.StoreUnavailable, err)
	} else if revoked { // up to this second, or to a time to come
		return Grant{}, &Error{Reason: auth.TokenRevoked}
	}
	s.Claims, s.Refreshed, s.Expires = claims, now, e.sessionEnd(s.AuthTime)
	if g.Caller.Address.IsValid() {
		s.Address = g.Caller.Address.String()
	}
	grant, err := e.sign(now, accessToken{
		subject: s.Subject, session: s.ID, client: s.ClientID, scopes: s.Scopes,
		claims: claims, authTime: s.AuthTime, life: e.accessTTL(client),
	})
	if err != nil {
		return Grant{}, err
	}
	var hashes RefreshHashes
	if e.refreshes(client) && !g.NoRefresh {
		t := newRefreshToken(s.ID)
		grant.RefreshToken, hashes = t.encode(), t.hashes()
		s.Expires = e.refreshEnd(now, s.AuthTime)
	}
	if err := e.cfg.Sessions.PutSession(ctx, s, hashes); err != nil {
		return Grant{}, down(ctx, auth.StoreUnavailable, err)
	}
	e.audit(ctx, slog.LevelInfo, "login", g.Request, of(s.ID, s.Subject, s.ClientID)...)
	grant.User = user
	return grant, nil
}

// refreshes reports whether the client gets refresh tokens.
func (e *Engine) refreshes(client *party) bool {
	return e.cfg.RefreshTTL > 0 && (client == nil || slices.Contains(client.Grants, GrantRefresh))
}

// refreshEnd is when a session ends that was refreshed now.
func (e *Engine) refreshEnd(now, authTime time.Time) time.Time {
	end := now.Add(e.cfg.RefreshTTL)
	if limit := e.sessionEnd(authTime); end.After(limit) {
		return limit
	}
	return end
}
