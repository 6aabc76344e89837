package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/endpoint"
	"gatehouse/auth/keyset"
	"gatehouse/auth/token"
	"gatehouse/config"
	"gatehouse/proxy"
	"gatehouse/store"
)

// tokenStore is the store, once it is open: the engines of the first
// configuration are made before, and asked after.
type tokenStore struct{ *store.Store }

// tokenService returns the routes of the token endpoints, none where they are
// not configured or something is wrong with them.
func (b *builder) tokenService(s *snapshot) []*proxy.Route {
	c := b.cfg.TokenService
	if c == nil || b.faulty("issuers") {
		return nil
	}
	issuer := named(s.issuers, c.Issuer)
	if s.users = b.users(c.Users); s.users == nil || issuer == nil {
		return nil
	}
	clients := b.clients(c.Clients)
	engine, err := token.New(token.Config{
		Issuer: issuer, Audience: c.Audience, AccessTTL: c.AccessTTL.Std(), RefreshTTL: c.RefreshTTL.Std(),
		RefreshGrace: c.RefreshGrace.Std(), MaxSession: c.MaxSession.Std(), Clients: clients,
		PerAccount: limit(c.LoginLimits.PerAccount), PerAddress: limit(c.LoginLimits.PerIP),
		Gate: s.gate, List: b.parts.list, Users: s.users, Sessions: b.parts.store, Ender: b.parts.store, Limiter: b.parts.store,
		Revoker: &revoker{b.parts.store, b.parts.list}, Replayed: b.parts.replayed, Log: b.parts.log,
	})
	if err != nil {
		b.fault("token_service", err)
		return nil
	}
	var routes []*proxy.Route
	for i, e := range c.Endpoints {
		routes = append(routes, b.endpoint(fmt.Sprintf("token_service.endpoints[%d]", i), e, issuer, engine, clients)...)
	}
	return routes
}

// endpoint returns the routes of one dialect, one for each of its paths.
func (b *builder) endpoint(path string, e config.Endpoint, issuer *auth.Issuer, engine *token.Engine, clients []token.Client) []*proxy.Route {
	c, mode, header := b.cfg.TokenService, auth.None, ""
	if e.Auth == "api_key" {
		mode, header = auth.APIKeyOnly, b.cfg.APIKeys.Header
	}
	served, err := endpoint.New(endpoint.Config{
		Engine: engine, Dialect: e.Dialect, Path: e.Path, ClientCredentialsPath: e.ClientCredentialsPath, APIKeyHeader: header,
		Cookie:    cookie(e, issuer),
		Observe:   func(operation string, reason auth.Reason) { b.parts.grant(e.Dialect, operation, reason) },
		PublicURL: publicURL(c, issuer), Issuer: issuer.Issuer, JWKS: func() []byte { return jwks(issuer, b.parts.log) }, Clients: clients, MaxAge: b.publishedFor(c.Issuer),
	})
	if err != nil {
		b.fault(path, err)
		return nil
	}
	// No issuers: a token in a cookie means nothing here, so that no other site's
	// page can end its session.
	policy := &auth.Policy{Route: e.Name, Mode: mode}
	var routes []*proxy.Route
	for _, at := range served.Paths() {
		routes = append(routes, &proxy.Route{Name: e.Name, Pattern: at, Policy: policy, MaxBodyBytes: endpoint.MaxBodyBytes, Local: served})
	}
	return routes
}

// publishedFor is how long a new key of the issuer is published before it signs;
// 0 where keys change with the configuration only.
func (b *builder) publishedFor(issuer string) time.Duration {
	for _, i := range b.cfg.Issuers {
		if i.Name == issuer && i.KeyRing != nil {
			return i.KeyRing.PublishFor.Std()
		}
	}
	return 0
}

// jwks is the issuer's public keys at this moment.
func jwks(issuer *auth.Issuer, log *slog.Logger) []byte {
	set, err := keyset.PublicJWKS(issuer.Keys.All())
	if err != nil { // keys that sign can be written: somebody must look
		log.Error("the public keys cannot be written", "issuer", issuer.Name, "error", err)
	}
	return set
}

func cookie(e config.Endpoint, issuer *auth.Issuer) string {
	if !e.Cookie {
		return ""
	}
	return issuer.Cookie
}

// publicURL is what clients reach the gateway by; empty: by the host that each
// of them names.
func publicURL(c *config.TokenService, issuer *auth.Issuer) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	u, err := url.Parse(issuer.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

func limit(r config.Rate) token.Limit { return token.Limit{Max: r.N, Window: r.Per} }

func (b *builder) clients(all []config.Client) []token.Client {
	clients := make([]token.Client, 0, len(all))
	for i, c := range all {
		client := token.Client{
			ID: c.ID, SecretSHA256: c.SecretSHA256, APIKeyID: c.APIKeyID, Scopes: c.Scopes, AccessTTL: c.AccessTTL.Std(),
		}
		for _, g := range c.Grants {
			client.Grants = append(client.Grants, token.GrantType(g))
		}
		secret, _, _ := b.signingSecret(i) // a fault of it was told with the issuer's keys
		client.SigningSecret = []byte(secret)
		clients = append(clients, client)
	}
	return clients
}

func (b *builder) signingSecret(i int) (secret, at string, err error) {
	c := b.cfg.TokenService.Clients[i]
	if c.SigningSecret == "" && c.SigningSecretFile == "" {
		return "", "", nil
	}
	return reveal(fmt.Sprintf("token_service.clients[%d].signing_secret", i), c.SigningSecret, c.SigningSecretFile)
}

// serve makes the issuer that one of the token service: it accepts the secrets
// of the clients, and its revocations outlive the sessions.
func (b *builder) serve(issuer *auth.Issuer) {
	c := b.cfg.TokenService
	// Also while no refresh tokens are issued: those from before may come back.
	issuer.SessionLife = c.MaxSession.Std()
	if r := issuer.Renew; r != nil {
		r.MaxSession = min(r.MaxSession, c.MaxSession.Std())
	}
	var keys []*auth.Key
	for i, client := range c.Clients {
		secret, at, err := b.signingSecret(i)
		if err == nil && at == "" {
			continue
		}
		var key *auth.Key
		if err == nil {
			key, err = auth.NewSecretKey(client.ID, "HS256", []byte(secret))
		}
		if err == nil && issuer.Keys.Find(client.ID) != nil {
			at, err = fmt.Sprintf("token_service.clients[%d].id", i), errors.New("is the kid of a key of the issuer: call the client something else")
		}
		if err != nil {
			b.fault(at, err)
			continue
		}
		key.Client, key.Scopes = client.ID, client.Scopes
		keys = append(keys, key)
	}
	if keys != nil {
		issuer.Keys = auth.NewClientKeys(issuer.Keys, keys)
	}
}

func named(issuers []*auth.Issuer, name string) *auth.Issuer {
	for _, i := range issuers {
		if i.Name == name {
			return i
		}
	}
	return nil
}
