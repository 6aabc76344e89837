package config

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

func (v *validator) routes() {
	v.routeFields("defaults", &v.Defaults)
	if v.Defaults.Renew && !v.broken("issuers") && !v.Defaults.canRenew(v.Issuers) {
		v.fault("defaults.renew", "none of the issuers that routes accept has renew")
	}
	for i := range v.Routes {
		r, path := &v.Routes[i], fmt.Sprintf("routes[%d]", i)
		v.name(path+".name", r.Name)
		v.unique(v.names, r.Name, path+".name")
		v.routeFields(path, &r.RouteDefaults)
		if r.Upstream == nil {
			v.fault(path+".upstream", "is missing: say where the requests go, as in http://127.0.0.1:9000")
		}
		v.bearer(path, r)
		v.stripPrefix(path, r)
		v.schemes(path, r)
	}
	v.managed()
	v.patterns()
}

// routeFields checks the fields that `defaults` has too, where they are written:
// a bad default is one problem and not one for each route.
func (v *validator) routeFields(path string, r *RouteDefaults) {
	if v.written(path + ".upstream") {
		v.upstreams(path+".upstream", r.Upstream)
	}
	if v.written(path + ".issuers") {
		v.references(path+".issuers", r.Issuers, "issuers", "issuer", "accepts no issuer: remove the key to accept all, or write auth: api_key")
	}
	if v.written(path + ".require.scopes") {
		v.scopes(path+".require.scopes", r.Require.Scopes)
	}
	if v.written(path + ".require.claims") {
		for i, rule := range r.Require.Claims {
			at := fmt.Sprintf("%s.require.claims[%d]", path, i)
			if rule.Claim == "" {
				v.fault(at+".claim", "is empty: name the claim")
			}
			if len(rule.AnyOf) == 0 {
				v.fault(at+".any_of", "is empty, so that no token could meet it: list the values that will do")
			}
		}
	}
	if v.written(path + ".require.client_certificate") {
		v.certificates(path+".require.client_certificate", r.Require.ClientCertificate)
	}
	if v.written(path + ".upstream_tls") {
		v.clientTLS(path+".upstream_tls", r.UpstreamTLS)
	}
}

// scopes checks that each is one (RFC 6749 §3.3).
func (v *validator) scopes(path string, scopes []string) {
	for i, scope := range scopes {
		if scope == "" || strings.ContainsFunc(scope, func(c rune) bool { return c <= ' ' || c == '"' || c == '\\' || c > '~' }) {
			v.fault(fmt.Sprintf("%s[%d]", path, i), "is not one scope: list scopes one by one")
		}
	}
}

func (v *validator) upstreams(path string, list Upstreams) {
	weights := 0
	for i, up := range list {
		at := fmt.Sprintf("%s[%d].url", path, i)
		if !v.written(at) {
			at = path // one bare URL
		}
		u, err := url.Parse(up.URL)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c" || u.Hostname() == "":
			v.fault(at, "is not a URL such as http://127.0.0.1:9000, https://orders.internal or h2c://127.0.0.1:50051")
		case u.User != nil:
			v.fault(at, "must not contain credentials: anyone who can read the config could use them")
		case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
			v.fault(at, "must end after host and port: paths go upstream as they came, less strip_prefix")
		}
		weights += up.Weight
	}
	switch {
	case len(list) == 0:
		v.fault(path, "is empty: list at least one upstream")
	case weights == 0:
		v.fault(path, "every weight is 0: no upstream is left to send to")
	}
}

// bearer checks what a route says of tokens against how it treats them.
func (v *validator) bearer(path string, r *Route) {
	if !r.looksAtTokens() {
		for key, said := range map[string]bool{
			".issuers":        r.Issuers != nil,
			".require.scopes": len(r.Require.Scopes) > 0,
			".require.claims": len(r.Require.Claims) > 0,
			".renew":          r.Renew,
		} {
			if said {
				v.fault(path+key, "is about bearer tokens, which auth: %s does not look at", r.Auth)
			}
		}
		return
	}
	if v.broken("issuers") {
		return
	}
	if len(v.Issuers) == 0 && r.Auth != "any" {
		v.fault(path+".auth", "%s needs a bearer token, and there is no issuer: add one under issuers, or write auth: api_key", r.Auth)
		return
	}
	if r.Renew && !r.canRenew(v.Issuers) {
		v.fault(path+".renew", "none of the issuers that the route accepts has renew")
	}
	v.oneIntrospection(path, r)
}

// stripPrefix checks that the prefix is whole segments which every path that the
// route matches begins with.
func (v *validator) stripPrefix(path string, r *Route) {
	prefix := r.StripPrefix
	if prefix == "" {
		return
	}
	if prefix[0] != '/' || strings.HasSuffix(prefix, "/") || strings.ContainsAny(prefix, "{}") {
		v.fault(path+".strip_prefix", "must be whole path segments such as /api: a slash before each, none at the end")
		return
	}
	pattern := r.Match[max(0, strings.IndexByte(r.Match, '/')):]
	if rest, ok := strings.CutPrefix(pattern, prefix); !ok || rest != "" && rest[0] != '/' {
		v.fault(path+".strip_prefix", "is not what the paths of match begin with")
	}
}

// managed checks the headers that tell upstreams who is calling. Within a route
// each is set once; everywhere one name has one spelling.
func (v *validator) managed() {
	type use struct{ path, canonical string }
	everywhere := map[string]use{fold(v.APIKeys.Header): {"api_keys.header", http.CanonicalHeaderKey(v.APIKeys.Header)}}
	check := func(path string, f *Forward) {
		here := map[string]string{}
		one := func(at, name string) {
			if !v.header(at, name) {
				return
			}
			folded, canonical := fold(name), http.CanonicalHeaderKey(name)
			first, known := everywhere[folded]
			switch {
			case here[folded] != "":
				v.fault(at, "is the header of %s too", v.line(here[folded]))
			case first.path == "api_keys.header":
				v.fault(at, "is the header of the API key, which no upstream sees")
			case known && first.canonical != canonical:
				v.fault(at, "differs from %s in punctuation only, which servers may not tell apart", v.line(first.path))
			default:
				here[folded] = at
				everywhere[folded] = use{at, canonical}
			}
		}
		for i, claim := range f.Claims {
			at := fmt.Sprintf("%s.forward.claims[%d]", path, i)
			if claim.Claim == "" {
				v.fault(at+".claim", "is empty: name the claim")
			}
			one(at+".header", claim.Header)
		}
		if f.APIKeyID != "" {
			one(path+".forward.api_key_id", f.APIKeyID)
		}
		if at := path + ".forward.client_certificate"; f.ClientCertificate != "" && v.written(at) {
			v.clientCA(at)
			one(at, f.ClientCertificate)
		}
	}
	check("defaults", &v.Defaults.Forward)
	for i := range v.Routes {
		if path := fmt.Sprintf("routes[%d]", i); v.written(path + ".forward") {
			check(path, &v.Routes[i].Forward)
		}
	}
}

// patterns checks that each match is a pattern that can match, and that no two
// claim the same requests.
func (v *validator) patterns() {
	mux := http.NewServeMux()
	var fit []int // routes registered so far
	for i, r := range v.Routes {
		path := fmt.Sprintf("routes[%d].match", i)
		if wrong := checkPattern(r.Match); wrong != "" {
			v.fault(path, "%s", wrong)
			continue
		}
		if register(mux, r.Match) == nil {
			fit = append(fit, i)
			continue
		}
		for _, j := range fit {
			pair := http.NewServeMux()
			_ = register(pair, v.Routes[j].Match)
			if register(pair, r.Match) != nil {
				v.fault(path, "ties with %s: there are requests that both match, and neither is more specific", v.line(fmt.Sprintf("routes[%d].match", j)))
				break
			}
		}
	}
}

// checkPattern returns what is wrong with a pattern that stands alone.
func checkPattern(pattern string) string {
	method, rest, spaced := strings.Cut(pattern, " ")
	if !spaced {
		method, rest = "", pattern
	}
	host := rest[:max(0, strings.IndexByte(rest, '/'))]
	switch {
	case method != strings.ToUpper(method) || method == "CONNECT" || method == "TRACE":
		return "the method must be in capitals, and neither CONNECT nor TRACE"
	case host != strings.ToLower(host) || strings.ContainsAny(host, ":"):
		return "the host must be in small letters, without a port"
	case strings.ContainsAny(rest, "*?#%\\"):
		return "has one of * ? # % \\: /orders/ matches all below it and {name} one segment; the query takes no part"
	case strings.Contains(rest, "//") || strings.Contains(rest+"/", "/./") || strings.Contains(rest+"/", "/../"):
		return "has an empty, . or .. segment: no request with such a path gets as far as the routes"
	}
	if err := register(http.NewServeMux(), pattern); err != nil {
		// The text is `parsing "PATTERN": what is wrong`.
		_, wrong, _ := strings.Cut(fmt.Sprint(err), `": `)
		return "is not [METHOD ][HOST]/path: " + wrong
	}
	return ""
}

// register adds the pattern, and returns what net/http panics with when it
// cannot be had beside the others.
func register(mux *http.ServeMux, pattern string) (refused any) {
	defer func() { refused = recover() }()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}
