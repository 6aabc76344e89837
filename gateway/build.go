package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/users"
	"gatehouse/config"
	"gatehouse/proxy"
	"gatehouse/store"
)

// tokenCacheBytes bounds what is remembered of verified tokens: about thirty
// thousand of them, or fewer where they are large or renewed.
const tokenCacheBytes = 32 << 20

// writeIdleTimeout is how long a client may take nothing of an answer.
const writeIdleTimeout = time.Minute

// snapshot is what one configuration means. It is never changed: a reload makes
// another. Requests finish on the one that they began with.
type snapshot struct {
	config     *config.Config
	gate       *auth.Gate
	state      *proxy.State
	issuers    []*auth.Issuer
	apiKeys    []auth.APIKey    // of the config
	users      *users.Directory // nil: there is no token service
	tls        *tls.Config      // nil: plain TCP
	adminToken [32]byte         // SHA-256; zero: the admin API is off
	warnings   []string
}

// parts are what snapshots are built with and what outlives them.
type parts struct {
	list     *list
	stored   *auth.StoredAPIKeys
	store    *tokenStore
	rings    *rings
	remotes  *remotes
	hasher   *users.Hasher
	observer func(route string) proxy.Observer
	renewal  func(issuer string, result auth.RenewResult)
	// introspected counts what came of asking an issuer about a token.
	introspected func(issuer string, result auth.IntrospectionResult, took time.Duration)
	grant        func(dialect, grant string, reason auth.Reason)
	replayed     func()
	log          *slog.Logger
}

// builder collects what is wrong while it builds.
type builder struct {
	cfg      *config.Config
	parts    parts
	problems config.Problems
	warnings []string
	forwards map[string]*auth.Forward // of the routes so far, by what they say
}

// fault notes a problem with the value at path, unless there is one with it or
// with something in it already.
func (b *builder) fault(path string, err error) {
	if !b.faulty(path) {
		b.problems = append(b.problems, b.cfg.Problem(path, "%v", err))
	}
}

// faulty reports whether there is a problem with the value at path, or with
// something in it.
func (b *builder) faulty(path string) bool {
	return slices.ContainsFunc(b.problems, func(p config.Problem) bool {
		return p.Path == path || strings.HasPrefix(p.Path, path+".")
	})
}

// sorted returns the problems in the order of the file.
func (b *builder) sorted() config.Problems {
	b.problems.Sort()
	return b.problems
}

// build turns a configuration into a snapshot. The error is all of its
// problems: those that need files to be read, beyond what Load has found.
func build(cfg *config.Config, p parts) (*snapshot, error) {
	b := &builder{cfg: cfg, parts: p, warnings: cfg.Warnings()}
	s := &snapshot{config: cfg, issuers: b.issuers(), apiKeys: APIKeys(cfg), tls: b.tls(), adminToken: b.adminToken()}
	b.storeURL()
	var err error
	s.gate, err = auth.NewGate(auth.GateConfig{
		APIKeys: auth.NewAPIKeys(s.apiKeys, p.stored), Issuers: s.issuers, Revocations: p.list, CacheBytes: tokenCacheBytes,
	})
	if err != nil {
		return nil, err
	}
	routes := append(b.routes(s.issuers), b.tokenService(s)...)
	s.warnings = b.warnings
	if len(b.problems) > 0 {
		return nil, b.sorted()
	}
	s.state, err = proxy.NewState(proxy.StateConfig{
		Gate: s.gate, Routes: routes, APIKeyHeader: cfg.APIKeys.Header, Cookies: cookies(s.issuers), TrustedProxies: cfg.Server.TrustedProxies,
		ClientCAs: s.clientCAs(), ClientCertOptional: cfg.Server.TLS.ClientAuth == "optional",
		BodyIdleTimeout: cfg.Server.BodyIdleTimeout.Std(), WriteIdleTimeout: writeIdleTimeout, AccessLog: cfg.Log.Access, Observer: p.observer, Renewal: p.renewal,
	})
	if err != nil {
		b.fault("routes", err)
		return nil, b.problems
	}
	return s, nil
}

// clientCAs are those who vouch for clients' certificates, nil when none is
// asked for.
func (s *snapshot) clientCAs() *x509.CertPool {
	if s.tls == nil {
		return nil
	}
	return s.tls.ClientCAs
}

// cookies are the names of those that carry tokens.
func cookies(issuers []*auth.Issuer) (names []string) {
	for _, i := range issuers {
		if i.Cookie != "" {
			names = append(names, i.Cookie)
		}
	}
	return names
}

// storeURL checks what opening the store would find wrong with its URL and
// certificates.
func (b *builder) storeURL() {
	if err := store.CheckURL(b.cfg.Store.URL.Reveal()); err != nil {
		b.fault("store.url", errors.New(strings.TrimPrefix(err.Error(), "store.url: ")))
	}
	b.clientTLS("store.tls", b.cfg.Store.TLS)
}

// APIKeys returns the API keys of a configuration, without those of its store.
func APIKeys(cfg *config.Config) []auth.APIKey {
	keys := make([]auth.APIKey, 0, len(cfg.APIKeys.Keys))
	for _, k := range cfg.APIKeys.Keys {
		keys = append(keys, auth.APIKey{ID: k.ID, SHA256: k.SHA256, NotAfter: k.NotAfter, Routes: k.Routes})
	}
	return keys
}

func (b *builder) routes(issuers []*auth.Issuer) []*proxy.Route {
	routes := make([]*proxy.Route, 0, len(b.cfg.Routes))
	for i, r := range b.cfg.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		mode, ok := auth.ParseMode(r.Auth)
		if !ok {
			b.fault(path+".auth", errors.New("is not a mode"))
		}
		p := &auth.Policy{
			Route: r.Name, Mode: mode, Issuers: accepted(issuers, r.Issuers), Scopes: r.Require.Scopes,
			Renew: r.Renew, Forward: b.forward(path, r.Forward),
		}
		for _, rule := range r.Require.Claims {
			p.Claims = append(p.Claims, auth.ClaimRule{Claim: rule.Claim, AnyOf: rule.AnyOf})
		}
		for _, rule := range r.Require.ClientCertificate { // any: true says nothing, which each certificate meets
			p.Certificates = append(p.Certificates, auth.CertificateRule{Subject: rule.Subject, URI: rule.URI, DNSName: rule.DNS})
		}
		routes = append(routes, &proxy.Route{
			Name: r.Name, Pattern: r.Match, Policy: p, Upstreams: b.upstreams(path, r.Upstream),
			KeepAuthorization: r.Forward.Authorization == "keep", StripPrefix: r.StripPrefix, WebSocket: r.Websocket,
			TLS: b.upstreamTLS(path+".upstream_tls", r.UpstreamTLS), StreamIdle: r.StreamIdleTimeout.Std(),
			Timeout: r.Timeout.Std(), MaxBodyBytes: int64(r.MaxBodyBytes),
		})
	}
	return routes
}

// accepted returns the issuers with those names, all where none is named.
func accepted(issuers []*auth.Issuer, names []string) []*auth.Issuer {
	if names == nil {
		return issuers
	}
	return slices.DeleteFunc(slices.Clone(issuers), func(i *auth.Issuer) bool { return !slices.Contains(names, i.Name) })
}

// forward returns what a route tells its upstream, in one value for all that tell
// the same: it is made for a token once then.
func (b *builder) forward(path string, f config.Forward) *auth.Forward {
	forward := &auth.Forward{APIKeyHeader: http.CanonicalHeaderKey(f.APIKeyID), CertificateHeader: http.CanonicalHeaderKey(f.ClientCertificate)}
	for i, c := range f.Claims {
		format, ok := auth.ParseFormat(c.Format)
		if !ok {
			b.fault(fmt.Sprintf("%s.forward.claims[%d].format", path, i), errors.New("is not a format"))
		}
		// X-User-Id carries the subject, whatever claim of the issuer's that is.
		if c.Claim == "sub" && strings.EqualFold(c.Header, "X-User-Id") {
			c.Claim = ""
		}
		forward.Claims = append(forward.Claims, auth.ClaimHeader{Claim: c.Claim, Header: http.CanonicalHeaderKey(c.Header), Format: format})
	}
	says := fmt.Sprintf("%#v", *forward)
	if shared := b.forwards[says]; shared != nil {
		return shared
	}
	if b.forwards == nil {
		b.forwards = make(map[string]*auth.Forward)
	}
	b.forwards[says] = forward
	return forward
}

func (b *builder) upstreams(path string, all config.Upstreams) []proxy.Upstream {
	upstreams := make([]proxy.Upstream, 0, len(all))
	for i, u := range all {
		target, err := url.Parse(u.URL)
		if err != nil {
			b.fault(fmt.Sprintf("%s.upstream[%d]", path, i), errors.New("is not a URL"))
			continue
		}
		target.Path = strings.TrimSuffix(target.Path, "/")
		if u.Weight > 0 {
			upstreams = append(upstreams, proxy.Upstream{URL: target, Weight: u.Weight})
		}
	}
	return upstreams
}
