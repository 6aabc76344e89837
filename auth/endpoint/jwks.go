package endpoint

import "github.com/go-json-experiment/json/jsontext"

const jwksPath = "/.well-known/jwks.json"

// serveJWKS answers the issuer's public keys (RFC 7517 §5). Caches keep them for
// five minutes: a key must be in the set for longer before it signs.
func serveJWKS(c *call) (any, error) {
	return jsontext.Value(c.endpoint.cfg.JWKS()), nil
}
