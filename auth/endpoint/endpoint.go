// Package endpoint serves the token service over HTTP, in the wire dialects of
// existing APIs. A dialect translates: requests into what [token.Engine] is
// asked, grants and errors into what the API's clients expect. It decides
// nothing. There is one file for each dialect; a table in it says which
// operations there are, under which path, and what the body of each has to be.
//
// The package imports auth, auth/token and net/http. It starts no goroutine.
package endpoint

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// MaxBodyBytes bounds the body of a request.
const MaxBodyBytes = 16 << 10

// Config is what an Endpoint is made of.
type Config struct {
	Engine  Engine
	Dialect string // oauth2, jsonapi, client_secret, password_form or envelope
	Path    string // what the paths of its operations begin with, as /oauth2; / is none
	// ClientCredentialsPath is the whole path of that grant, for envelope alone.
	ClientCredentialsPath string
	// APIKeyHeader is the header of the API key that every operation asks for,
	// by which a client is known that does not name itself; empty: none is asked
	// for.
	APIKeyHeader string
	// Cookie is the name of a cookie in which the access token is set as well,
	// for password_form alone; it begins with __Host-. Empty: none.
	Cookie string
	// Observe counts an answer: the operation, or the grant, and OK or why it
	// was refused.
	Observe func(operation string, reason auth.Reason)

	// For the metadata of oauth2 and its keys.

	PublicURL string        // what clients reach the service by; empty: the host that the request names
	Issuer    string        // `iss` of the tokens; empty: they have none
	JWKS      func() []byte // the public keys, as a JSON Web Key Set (RFC 7517 §5)
	// MaxAge is how long caches may keep the metadata and the keys: no longer
	// than a new key is published before it signs. 0: five minutes.
	MaxAge  time.Duration
	Clients []token.Client // the engine's; what they may do is what there is
}

// Endpoint serves the operations of one dialect.
type Endpoint struct {
	cfg        Config
	dialect    dialect
	operations map[string]operation // by path
}

// dialect is how one API speaks.
type dialect struct {
	operations func(Config) []operation
	refuse     func(failure) any   // the body of a refusal
	mediaType  string              // of that body; empty: application/json
	statuses   map[auth.Reason]int // where they are not the reason's own
}

var dialects = map[string]dialect{
	"oauth2":        oauth2,
	"jsonapi":       jsonAPI,
	"client_secret": clientSecret,
	"password_form": passwordForm,
	"envelope":      envelope,
}

// New returns the endpoint of a configuration. It fails when a part is missing
// or does not fit the dialect.
func New(cfg Config) (*Endpoint, error) {
	d, known := dialects[cfg.Dialect]
	switch {
	case cfg.Engine == nil || cfg.Observe == nil:
		return nil, errors.New("endpoint: an engine and an observer are needed")
	case !known:
		return nil, fmt.Errorf("endpoint: unknown dialect %q: want one of %q", cfg.Dialect, slices.Sorted(maps.Keys(dialects)))
	case !strings.HasPrefix(cfg.Path, "/"):
		return nil, fmt.Errorf("endpoint: path %q: want one that begins with /", cfg.Path)
	case cfg.Dialect == "envelope" && !strings.HasPrefix(cfg.ClientCredentialsPath, "/"):
		return nil, fmt.Errorf("endpoint: client credentials path %q: want one that begins with /", cfg.ClientCredentialsPath)
	case cfg.Cookie != "" && (cfg.Dialect != "password_form" || !strings.HasPrefix(cfg.Cookie, "__Host-")):
		return nil, fmt.Errorf("endpoint: cookie %q: only password_form sets one, and its name begins with __Host-", cfg.Cookie)
	case cfg.Dialect == "oauth2" && cfg.JWKS == nil:
		return nil, errors.New("endpoint: oauth2 needs the issuer's public keys")
	}
	if u, err := url.Parse(cfg.PublicURL); cfg.PublicURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "") {
		return nil, fmt.Errorf("endpoint: public URL %q: want one such as https://auth.example.com", cfg.PublicURL)
	}
	if cfg.MaxAge <= 0 || cfg.MaxAge > 5*time.Minute {
		cfg.MaxAge = 5 * time.Minute
	}
	e := &Endpoint{cfg: cfg, dialect: d, operations: make(map[string]operation)}
	for _, o := range d.operations(cfg) {
		if other, taken := e.operations[o.path]; taken {
			return nil, fmt.Errorf("endpoint: %s is the path of both %s and %s: choose another", o.path, other.name, o.name)
		}
		e.operations[o.path] = o
	}
	return e, nil
}

// Paths are the exact paths that the endpoint serves.
func (e *Endpoint) Paths() []string { return slices.Sorted(maps.Keys(e.operations)) }

// ServeLocal answers a request to one of the paths.
func (e *Endpoint) ServeLocal(w http.ResponseWriter, r *http.Request, caller auth.Caller) auth.Outcome {
	o := e.operations[r.URL.Path]
	c := &call{endpoint: e, operation: o, name: o.name, w: w, r: r, caller: caller}
	c.run()
	if !o.public {
		e.cfg.Observe(c.name, c.outcome.Reason)
	}
	return c.outcome
}
