package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
)

func (v *validator) tokenService(t *TokenService) {
	issuer := v.tokenIssuer(t)
	v.lives(t, issuer)
	if u, err := url.Parse(t.PublicURL); t.PublicURL != "" && (err != nil || !isHTTP(u) || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(u.Path, "/")) {
		v.fault("token_service.public_url", "is not a URL such as https://auth.example.com, without a slash at its end")
	}
	sources := map[string]string{}
	for i := range t.Users {
		path := fmt.Sprintf("token_service.users[%d]", i)
		v.name(path+".name", t.Users[i].Name)
		v.unique(sources, t.Users[i].Name, path+".name")
		v.userSource(path, &t.Users[i])
	}
	v.clients(t, issuer)
	v.endpoints(t, issuer)
}

// tokenIssuer checks what is issued in whose name, and returns that issuer; nil
// when it is not known.
func (v *validator) tokenIssuer(t *TokenService) *Issuer {
	const path = "token_service.issuer"
	if t.Issuer == "" {
		v.fault(path, "is missing: name the issuer whose tokens are issued")
		return nil
	}
	known, ok := v.known("issuers")
	if !ok {
		return nil
	}
	i := slices.IndexFunc(v.Issuers, func(is Issuer) bool { return is.Name == t.Issuer })
	if i < 0 {
		v.fault(path, "no issuer has that name%s", suggest(t.Issuer, known))
		return nil
	}
	issuer := &v.Issuers[i]
	if issuer.SubjectClaim != "sub" {
		v.fault(path, "has another subject_claim than sub, which is what the tokens name their subject in")
	}
	if !issuer.signs() {
		v.fault(path, "cannot sign: the issuer needs a key with private_key_file or secret_file, or a key_ring")
	}
	switch {
	case issuer.AnyAudience || slices.Contains(issuer.Audiences, t.Audience):
	case t.Audience == "":
		v.fault("token_service.audience", "is missing: name one of the issuer's audiences")
	default:
		v.fault("token_service.audience", "is none of the issuer's audiences, so that it would refuse its own tokens%s", suggest(t.Audience, issuer.Audiences))
	}
	return issuer
}

// lives checks how long tokens last. Sessions may be shorter: what is issued in
// them ends with them.
func (v *validator) lives(t *TokenService, issuer *Issuer) {
	if issuer != nil && t.AccessTTL > issuer.MaxTokenLife {
		v.fault("token_service.access_ttl", "is longer than the issuer's max_token_life, so that it would refuse its own tokens")
	}
}

func (v *validator) userSource(path string, s *UserSource) {
	if count([]bool{s.File != "", s.Postgres != nil, s.HTTP != nil}) != 1 {
		v.fault(path, "must have exactly one of file, postgres and http")
	}
	if p := s.Postgres; p != nil {
		if p.URL == "" && p.URLEnv == "" {
			v.fault(path+".postgres.url", "is missing: write url, or url_env for the variable that holds it")
		}
		if !strings.Contains(p.Query, "$1") {
			v.fault(path+".postgres.query", "has no $1, which stands for the user's name")
		}
	}
	if h := s.HTTP; h != nil {
		v.delegate(path+".http.url", h.URL, "https://users.internal/verify", "passwords")
		if h.LookupURL != "" {
			v.delegate(path+".http.lookup_url", h.LookupURL, "https://users.internal/lookup", "names")
		}
		v.clientTLS(path+".http.tls", h.TLS)
	}
}

// delegate checks a URL that passwords or tokens are sent to.
func (v *validator) delegate(path, text, example, sent string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || !isHTTP(u):
		v.fault(path, "is not a URL such as %s", example)
	case u.User != nil:
		v.fault(path, "must not contain credentials: anyone who can read the config could use them")
	case u.Fragment != "":
		v.fault(path, "has a fragment, which is never sent")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		v.fault(path, "would send %s in clear: use https, or http on loopback", sent)
	}
}

func isHTTP(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// dialects are what is peculiar to each.
var dialects = map[string]struct {
	logsIn bool // users with a password, whoever their client is
	cookie bool // can answer with a cookie
	second bool // has a second path
}{
	"oauth2":        {},
	"jsonapi":       {logsIn: true},
	"client_secret": {},
	"password_form": {logsIn: true, cookie: true},
	"envelope":      {logsIn: true, second: true},
}

func (v *validator) endpoints(t *TokenService, issuer *Issuer) {
	if len(t.Endpoints) == 0 {
		v.fault("token_service.endpoints", "is missing: say what is served where, as in {dialect: oauth2, path: /oauth2}")
	}
	logsIn := slices.ContainsFunc(t.Clients, func(c Client) bool { return slices.Contains(c.Grants, "password") })
	served, needsUsers := map[[2]string]string{}, false
	for i := range t.Endpoints {
		e, at := &t.Endpoints[i], fmt.Sprintf("token_service.endpoints[%d]", i)
		dialect := dialects[e.Dialect]
		needsUsers = needsUsers || dialect.logsIn || e.Dialect == "oauth2" && logsIn
		v.endpointName(at, e)
		v.exactPath(at+".path", e.Path)
		if first := served[[2]string{e.Dialect, e.Path}]; first != "" {
			v.fault(at+".path", "is that of %s too, in the same dialect", v.line(first))
		} else {
			served[[2]string{e.Dialect, e.Path}] = at + ".path"
		}
		switch {
		case e.Cookie && !dialect.cookie:
			v.fault(at+".cookie", "is for the dialect password_form")
		case e.Cookie && issuer != nil && issuer.Cookie == "":
			v.fault(at+".cookie", "needs the issuer's cookie: the name of it, which its routes then accept")
		}
		switch {
		case dialect.second:
			v.exactPath(at+".client_credentials_path", e.ClientCredentialsPath)
		case e.ClientCredentialsPath != "":
			v.fault(at+".client_credentials_path", "is for the dialect envelope")
		}
	}
	if needsUsers && len(t.Users) == 0 {
		v.fault("token_service.users", "is missing: users log in at an endpoint, so say where their passwords are checked")
	}
}

func (v *validator) endpointName(path string, e *Endpoint) {
	if v.written(path + ".name") {
		v.name(path+".name", e.Name)
		v.unique(v.names, e.Name, path+".name")
		return
	}
	if first, again := v.names[e.Name]; again {
		v.fault(path+".name", "is missing: without one it would be called like %s", v.line(first))
		return
	}
	v.names[e.Name] = path
}

// exactPath checks a path that is served as it stands: one that requests can
// have, and no pattern.
func (v *validator) exactPath(at, p string) {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"#%<>?\\^`{|}*", r) }
	switch {
	case !strings.HasPrefix(p, "/"):
		v.fault(at, "must begin with a slash, as in /oauth2")
	case strings.ContainsFunc(p, odd):
		v.fault(at, "has characters that a path cannot have as they are, or that make it a pattern")
	case path.Clean(p) != p:
		v.fault(at, "must have no empty, . or .. segment, and no slash at its end")
	}
}
