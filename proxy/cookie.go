package proxy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/auth"
)

// credentialsOf are what a request presents to a route. The header comes first;
// then, where the route looks at bearer tokens, the cookies of its issuers.
func (s *State) credentialsOf(r *http.Request, p *auth.Policy) auth.Credentials {
	c := auth.Extract(r.Header, s.apiKeyHeader)
	if r.Header["Cookie"] == nil || p.Mode == auth.None || p.Mode == auth.APIKeyOnly {
		return c
	}
	for _, issuer := range p.Issuers {
		if issuer.Cookie != "" {
			c = c.WithCookie(r.Header, issuer.Cookie)
		}
	}
	return c
}

// credentials are the request's own. A token in a cookie is the browser's to
// send, also when another site's page asks it to: such a request must be safe
// (RFC 9110 §9.2.1) or come from this site. A WebSocket, which browsers open
// across sites, must come from this site too.
func (x *Exchange) credentials() (auth.Credentials, *problem) {
	c := x.state.credentialsOf(x.in, x.route.Policy)
	var reason auth.Reason
	if x.certificate, reason = x.clientCertificate(x.state, x.start); reason != auth.OK {
		return c, &problem{reason: reason, detail: "the certificate of this connection is not, or no longer, one that is asked for", hangup: true}
	}
	c = c.WithCertificate(x.certificate)
	if x.cookie = c.Cookie(); x.cookie == "" {
		return c, nil
	}
	asked := *x.in
	if x.upgrade {
		asked.Method = http.MethodPost
	}
	if err := crossOrigin.Check(&asked); err != nil {
		return c, &problem{reason: auth.OriginForbidden, detail: err.Error()}
	}
	return c, nil
}

// crossOrigin looks at Sec-Fetch-Site, else compares Origin with Host. It is
// never changed.
var crossOrigin = http.NewCrossOriginProtection()

// withoutCookies is a Cookie header without the cookies that carry tokens, nil
// when nothing is left.
func withoutCookies(lines, names []string) []string {
	var kept []string
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			name, _, _ := strings.Cut(pair, "=")
			name = strings.TrimRight(name, " \t") // many readers do, though not ours
			if pair != "" && !slices.Contains(names, name) {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	return kept
}

// tokenCookie is a Set-Cookie line. The name begins with __Host-, so that
// browsers take it only as it is written here (RFC 6265bis §4.1.3.2).
func tokenCookie(name, token string, life time.Duration) string {
	return fmt.Sprintf("%s=%s; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=Strict", name, token, int(life.Seconds()))
}
