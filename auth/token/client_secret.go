package token

import (
	"context"
	"fmt"

	"gatehouse/auth"
)

// ClientSecretGrant asks for a token that the client can verify with the secret
// that it presents, together with its API key.
type ClientSecretGrant struct {
	Request
	APIKey, Secret string
}

// ClientSecret issues an access token that is signed with the client's own
// secret, with all scopes that it may have. On which routes the API key may be
// used does not matter: here it only says who asks.
func (e *Engine) ClientSecret(_ context.Context, g ClientSecretGrant) (Grant, error) {
	if g.APIKey == "" || g.Secret == "" {
		return Grant{}, refuse(auth.RequestMalformed, "the API key and the secret must not be empty")
	}
	now := e.cfg.Now()
	id, reason := e.cfg.Gate.APIKey(g.APIKey, now)
	if reason != auth.OK && reason != auth.APIKeyInvalid {
		return Grant{}, &Error{Reason: reason}
	}
	c := e.partner[id]
	var want [32]byte // no secret has this sum
	if c != nil {
		want = c.signing
	}
	if !sameSecret(g.Secret, want) {
		return Grant{}, refuse(auth.ClientInvalid, "the API key or the secret is wrong")
	}
	client := &party{Client: *c}
	t := e.clientToken(client, client.Scopes, now)
	if t.key = e.signingKey(c); t.key == nil {
		return Grant{}, &Error{Reason: auth.KeysUnavailable, Err: fmt.Errorf("the secret of client %q is no key of issuer %q", c.ID, e.cfg.Issuer.Name)}
	}
	return e.sign(now, t)
}
