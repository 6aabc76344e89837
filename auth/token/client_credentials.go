package token

import (
	"context"
	"time"

	"gatehouse/auth"
)

// ClientCredentialsGrant asks for a token for the client itself (RFC 6749 §4.4).
type ClientCredentialsGrant struct {
	Request
	Scopes []string // nil: all that the client may have
}

// ClientCredentials issues an access token to a client that has a secret. There
// is no refresh token: the client can ask again.
func (e *Engine) ClientCredentials(_ context.Context, g ClientCredentialsGrant) (Grant, error) {
	client, err := e.provenParty(g.Client)
	if err != nil {
		return Grant{}, err
	}
	if err := client.may(GrantClientCredentials); err != nil {
		return Grant{}, err
	}
	scopes, err := client.scopes(g.Scopes)
	if err != nil {
		return Grant{}, err
	}
	now := e.cfg.Now()
	return e.sign(now, e.clientToken(client, scopes, now))
}

// clientToken is about the client and belongs to it. Its session is a name that
// its renewals share; nothing is kept of it.
func (e *Engine) clientToken(client *party, scopes []string, authTime time.Time) accessToken {
	return accessToken{
		subject: client.ID, session: NewSessionID(e.cfg.Issuer.Name, client.ID), client: client.ID,
		scopes: scopes, authTime: authTime, life: e.accessTTL(client),
	}
}

// provenParty is party for what needs a client that has authenticated.
func (e *Engine) provenParty(a ClientAuth) (*party, error) {
	client, err := e.party(a)
	if err == nil && (client == nil || !client.proven) {
		err = refuse(auth.ClientInvalid, "this needs a client that authenticates with its secret")
	}
	return client, err
}
