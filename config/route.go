package config

import "slices"

// Route is what happens to the requests that match it. After Load it is whole:
// what it does not say was taken from `defaults`, then from the built-in ones.
type Route struct {
	Name  string `yaml:"name" required:"is missing: give the route a name" example:"orders" doc:"What logs, metrics and API keys call it."`
	Match string `yaml:"match" required:"is missing: say which requests the route is for, as in /orders/" example:"/orders/" doc:"[METHOD ][HOST]/path, as patterns of Go's net/http: /orders/ matches all below it, {name} one segment, {$} the end. The most specific match wins; a tie is an error. Without a method: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, and those that other routes name."`

	RouteDefaults
}

// RouteDefaults are the fields of a route that `defaults` can have too.
type RouteDefaults struct {
	Upstream          Upstreams `yaml:"upstream" example:"http://127.0.0.1:9000" doc:"Where to: http://host:port, https://host:port (HTTP/2 where the server has it) or h2c://host:port (HTTP/2 without TLS, as for gRPC), or a list of {url, weight}."`
	UpstreamTLS       ClientTLS `yaml:"upstream_tls" doc:"How https upstreams are spoken to. The files are read again when they change."`
	Auth              string    `yaml:"auth" default:"both" oneof:"both,any,api_key,bearer,none" doc:"Credentials asked for. any: one of the two is enough; what is presented must be valid all the same."`
	Issuers           []string  `yaml:"issuers" example:"[main]" doc:"Names of the issuers whose tokens are accepted. Absent: all."`
	Require           Require   `yaml:"require" doc:"What a token must say, beyond being valid."`
	Forward           Forward   `yaml:"forward" doc:"What the upstream is told. A header named here, on whatever route, is removed from every request first, in any spelling."`
	Renew             bool      `yaml:"renew" default:"false" doc:"Successful responses carry a renewed token when one is due. Needs an issuer with renew."`
	StripPrefix       string    `yaml:"strip_prefix" doc:"Leading path segments that the upstream does not see, as in /api."`
	Websocket         bool      `yaml:"websocket" default:"false" doc:"Allow Upgrade: websocket. No other upgrade is ever allowed."`
	Timeout           Duration  `yaml:"timeout" default:"30s" max:"24h" doc:"Time for the upstream's response header. 0: no limit."`
	StreamIdleTimeout Duration  `yaml:"stream_idle_timeout" default:"1h" max:"24h" doc:"A WebSocket, an event stream, a gRPC stream or another answer without a length ends when nothing has passed either way for this long. 0: no limit."`
	MaxBodyBytes      Size      `yaml:"max_body_bytes" inherit:"server.max_body_bytes" example:"10MiB" doc:"Largest request body; 0: no limit."`
}

// looksAtTokens reports whether bearer tokens matter to the route.
func (r *RouteDefaults) looksAtTokens() bool { return r.Auth != "api_key" && r.Auth != "none" }

// canRenew reports whether an issuer that the route accepts renews tokens.
func (r *RouteDefaults) canRenew(issuers []Issuer) bool {
	return slices.ContainsFunc(issuers, func(is Issuer) bool {
		return is.Renew != nil && (r.Issuers == nil || slices.Contains(r.Issuers, is.Name))
	})
}

// Upstreams is where a route's requests go, each to one of them by weight.
// YAML has one as its bare URL, or a list.
type Upstreams []Upstream

// Upstream is one server behind the gateway.
type Upstream struct {
	URL    string `yaml:"url" required:"is missing: say where the requests go" example:"http://127.0.0.1:9000" doc:"http://host:port, https://host:port or h2c://host:port; a path is not allowed."`
	Weight int    `yaml:"weight" default:"1" min:"0" max:"1000" doc:"Share of the requests. 0: none, which takes it out without deleting it."`
}

// Require is what a token must say, beyond being valid.
type Require struct {
	Scopes            []string          `yaml:"scopes" example:"[orders:read]" doc:"All of them must be in the token's scope (or scp)."`
	Claims            []ClaimRule       `yaml:"claims" doc:"All of them must be met."`
	ClientCertificate []CertificateRule `yaml:"client_certificate" doc:"The client's certificate must be one of these. It counts beside the credentials that auth asks for, also with auth: none. Needs server.tls.client_ca_file."`
}

// CertificateRule is met by a client certificate that has all of what it says.
type CertificateRule struct {
	Subject string `yaml:"subject" example:"\"CN=orders,O=acme\"" doc:"The whole subject, as RFC 4514 writes it: openssl x509 -noout -subject -nameopt RFC2253 prints it."`
	URI     string `yaml:"uri" example:"spiffe://acme/ns/shop/sa/orders" doc:"One of its URIs, such as a SPIFFE ID."`
	DNS     string `yaml:"dns" example:"orders.internal" doc:"One of its DNS names, as it stands there."`
	Any     bool   `yaml:"any" default:"false" doc:"true instead of these: any certificate of the authorities will do."`
}

// ClaimRule is met when the claim, or an element of it where it is a list, is
// one of the values.
type ClaimRule struct {
	Claim string   `yaml:"claim" required:"is missing: name the claim" example:"roles" doc:"Name of the claim; where none has that very name, dots lead into objects."`
	AnyOf []string `yaml:"any_of" required:"is missing: list the values that will do" example:"[admin, staff]" doc:"The values, one of which it must have."`
}

// Forward is what the upstream is told. A route that writes `claims` replaces
// the whole list, `claims: []` forwards none, `api_key_id: ""` keeps the key's
// id to ourselves.
type Forward struct {
	Claims            []ClaimHeader `yaml:"claims" default:"[{claim: sub, header: X-User-Id}]" doc:"Claims to forward as headers. A list replaces the default one; [] forwards none."`
	APIKeyID          string        `yaml:"api_key_id" default:"X-Client-Id" doc:"Header that carries the API key's id. \"\" forwards it in none."`
	ClientCertificate string        `yaml:"client_certificate" example:"X-Client-Certificate" doc:"Header that carries the subject of the client's certificate, as RFC 4514 writes it. Absent: none."`
	Authorization     string        `yaml:"authorization" default:"strip" oneof:"strip,keep" doc:"Whether the upstream sees the Authorization header."`
}

// ClaimHeader is one claim and the header that carries it upstream.
type ClaimHeader struct {
	Claim  string `yaml:"claim" required:"is missing: name the claim" example:"roles" doc:"Name of the claim; where none has that very name, dots lead into objects."`
	Header string `yaml:"header" required:"is missing: name the header" example:"X-User-Roles" doc:"Name of the header: letters, digits and hyphens."`
	Format string `yaml:"format" default:"text" oneof:"text,csv,json" doc:"text: a string, number or boolean as it is; csv: a list, with commas between its elements and none in them; json: any value, as ASCII. In text and csv, what is not ASCII, and the percent sign, is percent-encoded. A token whose claim cannot be sent this way, or has more than 1 KiB, is answered 401 token_claims."`
}
