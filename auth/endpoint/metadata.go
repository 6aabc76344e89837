package endpoint

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"gatehouse/auth/token"
)

// wellKnown are the documents that tell clients and resource servers what they
// need to know. Where the issuer is a URL with a path, clients look for the
// metadata under that path, too (RFC 8414 §3.1).
func wellKnown(cfg Config) []operation {
	const at = "/.well-known/oauth-authorization-server"
	all := []operation{
		{path: at, name: "metadata", methods: get, public: true, serve: serveMetadata},
		{path: jwksPath, name: "jwks", methods: get, public: true, serve: serveJWKS},
	}
	if u, err := url.Parse(cfg.Issuer); err == nil && u.Host != "" && len(u.Path) > 1 {
		if p := path.Clean(u.Path); p == u.EscapedPath() || p+"/" == u.EscapedPath() {
			all = append(all, operation{path: at + p, name: "metadata", methods: get, public: true, serve: serveMetadata})
		}
	}
	return all
}

// metadata is what RFC 8414 §2 defines, RFC 7009 and RFC 7662 included.
type metadata struct {
	Issuer                   string            `json:"issuer"`
	TokenEndpoint            string            `json:"token_endpoint"`
	RevocationEndpoint       string            `json:"revocation_endpoint"`
	IntrospectionEndpoint    string            `json:"introspection_endpoint"`
	JWKSURI                  string            `json:"jwks_uri"`
	ResponseTypes            []string          `json:"response_types_supported"` // required, and none: nobody is sent here by a browser
	GrantTypes               []token.GrantType `json:"grant_types_supported"`
	Scopes                   []string          `json:"scopes_supported,omitempty"`
	TokenAuthMethods         []string          `json:"token_endpoint_auth_methods_supported,omitempty"`
	RevocationAuthMethods    []string          `json:"revocation_endpoint_auth_methods_supported,omitempty"`
	IntrospectionAuthMethods []string          `json:"introspection_endpoint_auth_methods_supported,omitempty"`
}

func serveMetadata(c *call) (any, error) {
	cfg := c.endpoint.cfg
	base := strings.TrimSuffix(cfg.PublicURL, "/")
	if base == "" {
		base = requestedAt(c.r)
	}
	m := metadata{
		Issuer:                cfg.Issuer,
		TokenEndpoint:         base + cfg.below("/token"),
		RevocationEndpoint:    base + cfg.below("/revoke"),
		IntrospectionEndpoint: base + cfg.below("/introspect"),
		JWKSURI:               base + jwksPath,
		ResponseTypes:         []string{},
	}
	if m.Issuer == "" {
		m.Issuer = base
	}
	m.describe(cfg.Clients)
	return m, nil
}

// requestedAt is the address by which the request came. What a proxy in front
// says of it is for the configuration to say.
func requestedAt(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// describe tells what there is for the clients.
func (m *metadata) describe(clients []token.Client) {
	for _, c := range clients {
		for _, g := range c.Grants {
			if _, served := oauth2Grants[g]; served && !slices.Contains(m.GrantTypes, g) {
				m.GrantTypes = append(m.GrantTypes, g)
			}
		}
		if !slices.ContainsFunc(c.Grants, func(g token.GrantType) bool { _, served := oauth2Grants[g]; return served }) {
			continue
		}
		m.Scopes = append(m.Scopes, c.Scopes...)
		if c.SecretSHA256 == [32]byte{} {
			m.TokenAuthMethods = append(m.TokenAuthMethods, "none")
			continue
		}
		m.IntrospectionAuthMethods = []string{"client_secret_basic", "client_secret_post"}
		m.TokenAuthMethods = append(m.TokenAuthMethods, m.IntrospectionAuthMethods...)
	}
	for _, list := range []*[]string{&m.Scopes, &m.TokenAuthMethods} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	slices.Sort(m.GrantTypes)
	m.RevocationAuthMethods = m.TokenAuthMethods
}
