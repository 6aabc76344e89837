package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"gatehouse/auth"
)

// GrantType is a way to a token (RFC 6749 §1.3).
type GrantType string

// The grants. GrantClientSecret is that of a token which the client can verify:
// it is signed with the client's own secret.
const (
	GrantPassword          GrantType = "password"
	GrantRefresh           GrantType = "refresh_token"
	GrantClientCredentials GrantType = "client_credentials"
	GrantClientSecret      GrantType = "client_secret"
)

// Client is an application that tokens are issued to (RFC 6749 §2). An API key
// with the same id is the same client.
type Client struct {
	ID            string
	SecretSHA256  [32]byte // zero: a public client, which has none
	SigningSecret []byte   // for GrantClientSecret; nil: none. Signs its tokens, with HS256
	APIKeyID      string   // for GrantClientSecret: the id of its API key
	Grants        []GrantType
	Scopes        []string      // that it may ask for
	AccessTTL     time.Duration // 0: the service's

	signing [32]byte // SHA-256 of SigningSecret
}

func (c *Client) confidential() bool { return c.SecretSHA256 != [32]byte{} }

// ClientAuth is how a client presents itself.
type ClientAuth struct {
	ID     string // empty: no client
	Secret string
	// APIKey tells that ID is that of an API key which was verified: there is no
	// more to check.
	APIKey bool
	// Optional tells that an ID which nobody configured counts as none.
	Optional bool
}

// party is a client that asks for something. nil is nobody, who may do what
// needs no client.
type party struct {
	Client
	// proven tells that it has shown a secret or an API key, and not only said
	// its name.
	proven bool
	// scopeless tells that no scopes were configured for it, so that it has none
	// and asking for them has no effect.
	scopeless bool
}

// apiKeyGrants are for clients that are known by their API key only.
var apiKeyGrants = []GrantType{GrantPassword, GrantRefresh}

// party finds out which client asks (RFC 6749 §2.3). Whether it is unknown or
// its secret is wrong cannot be told from the error, nor from the time it takes.
func (e *Engine) party(a ClientAuth) (*party, error) {
	c := e.clients[a.ID]
	switch {
	case a.ID == "" && a.Secret == "", c == nil && a.Optional && !a.APIKey:
		return nil, nil
	case a.ID != "" && a.APIKey:
		return &party{Client: Client{ID: a.ID, Grants: apiKeyGrants}, proven: true, scopeless: true}, nil
	case c != nil && !c.confidential() && a.Secret == "":
		return &party{Client: *c}, nil
	}
	var want [32]byte // no secret has this sum
	if c != nil {
		want = c.SecretSHA256
	}
	if !sameSecret(a.Secret, want) {
		return nil, refuse(auth.ClientInvalid, "the client is unknown, or did not authenticate as it must")
	}
	return &party{Client: *c, proven: true}, nil
}

func sameSecret(presented string, sum [32]byte) bool {
	got := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(got[:], sum[:]) == 1
}

// may returns an error unless the client may use the grant.
func (p *party) may(g GrantType) error {
	if p != nil && !slices.Contains(p.Grants, g) {
		return refuse(auth.ClientForbidden, "the client may not use the grant %s", g)
	}
	return nil
}

// name is the client's id, empty for nobody.
func (p *party) name() string {
	if p == nil {
		return ""
	}
	return p.ID
}

// scopes returns what is granted to the client of what it asks for (RFC 6749
// §3.3): all that it may have, where it asks for nothing in particular. Those who
// can have no scopes get none.
func (p *party) scopes(asked []string) ([]string, error) {
	switch {
	case p == nil || p.scopeless:
		return nil, nil
	case len(asked) == 0:
		return p.Scopes, nil
	}
	return within(asked, p.Scopes)
}

// within returns the scopes, each once, if all of them are among those allowed.
func within(asked, allowed []string) ([]string, error) {
	granted := make([]string, 0, len(asked))
	for _, s := range asked {
		if !slices.Contains(allowed, s) {
			return nil, refuse(auth.ScopeInvalid, "a scope is none of those that can be granted")
		}
		if !slices.Contains(granted, s) {
			granted = append(granted, s)
		}
	}
	return granted, nil
}

// keep returns those of the scopes that the client may have today.
func (p *party) keep(scopes []string) []string {
	if p == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(p.Scopes, s) })
}

// accessTTL is how long access tokens of the client live.
func (e *Engine) accessTTL(p *party) time.Duration {
	if p == nil || p.AccessTTL == 0 {
		return e.cfg.AccessTTL
	}
	return p.AccessTTL
}
