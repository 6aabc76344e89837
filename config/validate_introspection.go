package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// introspection checks how an issuer is asked, and that nothing else is said of
// its tokens than can be kept.
func (v *validator) introspection(path string, is *Issuer) {
	c, at := is.Introspection, path+".introspection"
	if c == nil {
		return
	}
	for key, said := range map[string]bool{
		".keys": len(is.Keys) > 0, ".jwks_file": is.JWKSFile != "", ".jwks_url": is.JWKSURL != "", ".discovery": is.Discovery,
		".key_ring": is.KeyRing != nil,
	} {
		if said {
			v.fault(path+key, "is for tokens that are signed, and introspection for those that are not: make two issuers of it, with a name each")
		}
	}
	if is.Renew != nil {
		v.fault(path+".renew", "cannot be: tokens of an issuer with introspection are made there alone")
	}
	v.delegate(at+".url", c.URL, "https://auth.example.com/introspect", "tokens")
	switch {
	case c.ClientSecret == "" && c.ClientSecretFile == "" && !v.broken(at+".client_secret"):
		v.fault(at+".client_secret_file", "is missing: the issuer answers clients that prove who they are")
	case c.ClientSecret != "" && c.ClientSecretFile != "":
		v.fault(at+".client_secret_file", "client_secret is set too: keep one of the two")
	}
	if c.Cache > 0 && c.Cache.Std() < time.Second {
		v.fault(at+".cache", "is shorter than 1s: write 0 to ask for each request")
	}
}

// issuerTLS checks that there is somebody to speak TLS with.
func (v *validator) issuerTLS(path string, is *Issuer) {
	v.clientTLS(path, is.TLS)
	if is.TLS != (ClientTLS{}) && is.JWKSURL == "" && !is.Discovery && is.Introspection == nil {
		v.fault(path, "is for jwks_url, discovery and introspection: no server is asked for this issuer")
	}
}

// oneIntrospection checks that it is plain whose the opaque tokens of a route are.
func (v *validator) oneIntrospection(path string, r *Route) {
	var all []string
	for i, is := range v.Issuers {
		if is.Introspection != nil && (r.Issuers == nil || slices.Contains(r.Issuers, is.Name)) {
			all = append(all, v.line(fmt.Sprintf("issuers[%d].introspection", i)))
		}
	}
	if len(all) > 1 {
		v.fault(path+".issuers", "takes in %s, and nothing in an opaque token says whose it is: name one of them, so that no issuer gets to see another's tokens", strings.Join(all, " and "))
	}
}
