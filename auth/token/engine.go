package token

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"gatehouse/auth"
)

// Config is what an Engine is made of. It belongs to one configuration: another
// makes another Engine.
type Config struct {
	Issuer       *auth.Issuer // whose tokens are issued; its Keys can sign, and have the clients' SigningSecrets
	Audience     string       // `aud`, one of the issuer's; empty: none, where any is accepted
	AccessTTL    time.Duration
	RefreshTTL   time.Duration // 0: no refresh tokens
	RefreshGrace time.Duration // in which a used refresh token gets its successor again; 0: none
	MaxSession   time.Duration // from auth_time
	Clients      []Client
	PerAccount   Limit // failed logins of one user name from one address; Key is ours. Max 0: no limit
	PerAddress   Limit // failed logins from one address (IPv6: its /64)

	Gate     *auth.Gate // verifies tokens and API keys that are presented, as the data plane does
	List     auth.RevocationList
	Users    Users
	Sessions Sessions
	Ender    SessionEnder
	Limiter  Limiter
	Revoker  Revoker
	Log      *slog.Logger     // audit lines
	Replayed func()           // is told of each session that a replayed refresh token ended; nil: nobody is
	Now      func() time.Time // nil: time.Now
}

// Engine does what token endpoints ask for. Its methods may be called at once;
// their errors are all of type *Error.
type Engine struct {
	cfg     Config
	policy  auth.Policy // what a bearer token that is presented must be
	clients map[string]*Client
	partner map[string]*Client // by APIKeyID
}

// New returns an Engine. It fails when a part is missing, or the issuer would
// not accept what the engine issues.
func New(cfg Config) (*Engine, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Replayed == nil {
		cfg.Replayed = func() {}
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	e := &Engine{
		cfg:     cfg,
		policy:  auth.Policy{Mode: auth.BearerOnly, Issuers: []*auth.Issuer{cfg.Issuer}},
		clients: make(map[string]*Client, len(cfg.Clients)),
		partner: map[string]*Client{},
	}
	for i := range cfg.Clients {
		if err := e.add(&cfg.Clients[i]); err != nil {
			return nil, fmt.Errorf("token: client %q: %w", cfg.Clients[i].ID, err)
		}
	}
	return e, nil
}

func (c *Config) check() error {
	switch {
	case c.Issuer == nil || c.Gate == nil || c.Users == nil || c.Sessions == nil || c.Ender == nil ||
		c.Limiter == nil || c.Revoker == nil || c.List == nil || c.Log == nil:
		return errors.New("an engine needs all of its parts")
	case c.AccessTTL < time.Second || c.MaxSession < time.Second:
		return errors.New("access tokens and sessions need a life of a second or more")
	case c.RefreshTTL < 0 || c.RefreshGrace < 0:
		return errors.New("a time is negative")
	case c.AccessTTL > c.Issuer.MaxTokenLife:
		return fmt.Errorf("issuer %q accepts no token that lives for %s", c.Issuer.Name, c.AccessTTL)
	case c.Issuer.SubjectClaim != "sub":
		return fmt.Errorf("issuer %q does not take its subjects from sub, which is where the token service has them", c.Issuer.Name)
	case !c.Issuer.AnyAudience && !slices.Contains(c.Issuer.Audiences, c.Audience):
		return fmt.Errorf("issuer %q does not accept the audience %q", c.Issuer.Name, c.Audience)
	case c.RefreshTTL > 0 && c.Issuer.SessionLife < c.MaxSession:
		return fmt.Errorf("a revocation for issuer %q would be forgotten before the sessions that it ends", c.Issuer.Name)
	}
	return nil
}

// add takes in a client.
func (e *Engine) add(c *Client) error {
	switch {
	case c.ID == "":
		return errors.New("it has no id")
	case e.clients[c.ID] != nil:
		return errors.New("there are two")
	case c.AccessTTL < 0 || c.AccessTTL > 0 && c.AccessTTL < time.Second || c.AccessTTL > e.cfg.Issuer.MaxTokenLife:
		return fmt.Errorf("issuer %q accepts no token that lives for %s", e.cfg.Issuer.Name, c.AccessTTL)
	case slices.Contains(c.Grants, GrantClientCredentials) && !c.confidential():
		return errors.New("the grant client_credentials needs a secret")
	}
	e.clients[c.ID] = c
	if !slices.Contains(c.Grants, GrantClientSecret) {
		return nil
	}
	if c.APIKeyID == "" || e.partner[c.APIKeyID] != nil {
		return errors.New("the grant client_secret needs an API key id of its own")
	}
	if e.signingKey(c) == nil {
		return fmt.Errorf("issuer %q does not know its signing secret", e.cfg.Issuer.Name)
	}
	c.signing = sha256.Sum256(c.SigningSecret)
	e.partner[c.APIKeyID] = c
	return nil
}

// signingKey is the client's secret as the key that its tokens are verified by,
// nil when the issuer has none such.
func (e *Engine) signingKey(c *Client) *auth.Key {
	k := e.cfg.Issuer.Keys.Find(c.ID)
	if k == nil || k.Client != c.ID {
		return nil
	}
	return k
}

// Request is what all operations have in common.
type Request struct {
	Caller auth.Caller
	Client ClientAuth
}

// Grant is a token that was issued, with what belongs to it.
type Grant struct {
	AccessToken  string
	RefreshToken string        // empty: none
	ExpiresIn    time.Duration // of the access token, whole seconds
	Scopes       []string
	Subject      string
	SessionID    string
	TokenID      string // `jti` of the access token
	User         User   // zero where no user logged in
}
