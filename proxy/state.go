package proxy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"gatehouse/auth"
)

// StateConfig is one configuration, as far as the data plane is concerned.
type StateConfig struct {
	Gate         *auth.Gate
	Routes       []*Route
	APIKeyHeader string   // in any case
	Cookies      []string // that carry tokens of some issuer: no upstream sees them
	// ClientCAs vouch for the clients' certificates; nil: none is asked for. With
	// ClientCertOptional a client may do without.
	ClientCAs          *x509.CertPool
	ClientCertOptional bool
	TrustedProxies     []netip.Prefix // peers whose X-Forwarded-* and X-Request-Id are believed
	BodyIdleTimeout    time.Duration  // without a byte of a request's body; 0: none
	// WriteIdleTimeout is how long a client may take nothing of an answer that
	// waits for it; 0: for ever, together with an upstream's connection.
	WriteIdleTimeout time.Duration
	AccessLog        bool
	// Observer returns what counts for the route with that name. It is asked
	// when the State is made; the empty name stands for requests without route.
	Observer func(route string) Observer
	// Renewal counts what came of a renewal that was due.
	Renewal func(issuer string, result auth.RenewResult)
}

// State is what one configuration means to the data plane. It never changes;
// another configuration makes another State.
type State struct {
	gate               *auth.Gate
	table              *Table
	apiKeyHeader       string // canonical
	cookies            []string
	clientCAs          *x509.CertPool
	clientCertOptional bool
	trusted            []netip.Prefix
	bodyIdle           time.Duration
	writeIdle          time.Duration
	accessLog          bool
	unrouted           Observer
	renewal            func(issuer string, result auth.RenewResult)
	names              *names
	challenge          string // the WWW-Authenticate challenge for API keys
}

// NewState returns the State of a configuration, or why there cannot be one.
func NewState(cfg StateConfig) (*State, error) {
	if cfg.Gate == nil || cfg.Observer == nil || cfg.Renewal == nil || cfg.APIKeyHeader == "" {
		return nil, errors.New("proxy: a state needs a gate, an observer, a renewal counter and the API key's header")
	}
	table, err := NewTable(cfg.Routes)
	if err != nil {
		return nil, err
	}
	s := &State{
		gate:               cfg.Gate,
		table:              table,
		apiKeyHeader:       http.CanonicalHeaderKey(cfg.APIKeyHeader),
		cookies:            cfg.Cookies,
		clientCAs:          cfg.ClientCAs,
		clientCertOptional: cfg.ClientCertOptional,
		trusted:            slices.Clone(cfg.TrustedProxies),
		bodyIdle:           cfg.BodyIdleTimeout,
		writeIdle:          cfg.WriteIdleTimeout,
		accessLog:          cfg.AccessLog,
		unrouted:           cfg.Observer(""),
		renewal:            cfg.Renewal,
	}
	for _, r := range table.routes {
		r.observer = cfg.Observer(r.Name)
	}
	managed := append(managedNames(cfg.Routes), s.apiKeyHeader)
	for _, name := range managed {
		if name != http.CanonicalHeaderKey(name) { // set as it is, it would stand beside what the client sent
			return nil, fmt.Errorf("header %q: want it in canonical form, %q", name, http.CanonicalHeaderKey(name))
		}
	}
	if s.names, err = newNames(managed); err != nil {
		return nil, err
	}
	s.challenge = fmt.Sprintf("ApiKey header=%q", s.apiKeyHeader)
	return s, nil
}

// managedNames are the headers by which upstreams learn who is calling. They
// are ours on every route, also on those that do not set them.
func managedNames(routes []*Route) []string {
	managed := []string{"X-User-Id", "X-Client-Id"}
	for _, r := range routes {
		f := r.Policy.Forward
		if f == nil {
			continue
		}
		for _, c := range f.Claims {
			managed = append(managed, c.Header)
		}
		for _, name := range []string{f.APIKeyHeader, f.CertificateHeader} {
			if name != "" {
				managed = append(managed, name)
			}
		}
	}
	return managed
}
