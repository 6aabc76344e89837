package token

import (
	"context"
	"errors"

	"gatehouse/auth"
)

// Introspection asks what a token of the client is (RFC 7662 §2.1).
type Introspection struct {
	Request
	Token string
}

// Introspected says whether a token is good, and what it is. Neither Token nor
// Session is set where it is not.
type Introspected struct {
	Active  bool
	Token   *auth.Token // an access token
	Session *Session    // of a refresh token
}

// Introspect tells a client that has authenticated about its own tokens. Those
// of others look like tokens that are not good.
func (e *Engine) Introspect(ctx context.Context, i Introspection) (Introspected, error) {
	client, err := e.provenParty(i.Client)
	if err != nil {
		return Introspected{}, err
	}
	if i.Token == "" {
		return Introspected{}, refuse(auth.RequestMalformed, "the token is missing")
	}
	if t, ok := parseRefreshToken(i.Token); ok {
		return e.introspectRefresh(ctx, client, t)
	}
	t, err := e.verify(ctx, auth.BearerCredentials(i.Token), e.cfg.Now())
	if worthless(err) || err == nil && t.ClientID() != client.ID {
		return Introspected{}, nil
	}
	if err != nil {
		return Introspected{}, err
	}
	return Introspected{Active: true, Token: t}, nil
}

// introspectRefresh tells of a refresh token by the checks that using it would
// meet. One that was used is not active, though its successor can still be had.
func (e *Engine) introspectRefresh(ctx context.Context, client *party, t refreshToken) (Introspected, error) {
	s, _, err := e.refreshable(ctx, t, client, e.cfg.Now())
	var refused *Error
	if errors.As(err, &refused) && refused.Reason.Status() < 500 {
		return Introspected{}, nil
	}
	if err != nil {
		return Introspected{}, err
	}
	if e.cfg.RefreshTTL == 0 || s.Replayed || !same(s.Refresh.Current, t.hashes().Current) {
		return Introspected{}, nil
	}
	return Introspected{Active: true, Session: &s}, nil
}
