package config

import (
	"fmt"
	"slices"
	"strings"
)

func (v *validator) issuers() {
	names := map[string]string{}
	for i := range v.Issuers {
		is, path := &v.Issuers[i], fmt.Sprintf("issuers[%d]", i)
		v.name(path+".name", is.Name)
		v.unique(names, is.Name, path+".name")
		v.audience(path, is)
		v.filled(path+".required_claims", is.RequiredClaims)
		if is.SubjectClaim == "" {
			v.fault(path+".subject_claim", "is empty: sub is the usual one")
		}
		v.keys(path, is)
		if is.Renew != nil && !slices.ContainsFunc(is.Keys, func(k Key) bool { return k.signs() }) {
			v.fault(path+".renew", "needs a key that can sign: one with private_key_file or secret_file")
		}
	}
}

func (v *validator) audience(path string, is *Issuer) {
	switch {
	case is.AnyAudience && len(is.Audiences) > 0:
		v.fault(path+".any_audience", "audiences is set too: keep one of the two")
	case !is.AnyAudience && len(is.Audiences) == 0:
		v.fault(path+".audiences", "is missing: name the audience that tokens for your services carry, or write any_audience: true")
	}
	v.filled(path+".audiences", is.Audiences)
}

func (v *validator) keys(path string, is *Issuer) {
	if len(is.Keys) == 0 && is.JWKSFile == "" {
		v.fault(path+".keys", "is missing: without keys and jwks_file no token can be verified")
	}
	if is.JWKSFile != "" && len(is.Algorithms) == 0 {
		v.fault(path+".algorithms", "is empty: name those that keys of jwks_file may be used with, as in [RS256, ES256]")
	}
	kids := map[string]string{}
	for i := range is.Keys {
		key, at := &is.Keys[i], fmt.Sprintf("%s.keys[%d]", path, i)
		v.unique(kids, key.KID, at+".kid")
		v.keySource(at, key)
	}
}

// keySource checks that the key comes from one place, and from one that suits
// its algorithm: an HS secret is no key pair.
func (v *validator) keySource(path string, key *Key) {
	secrets := []bool{key.Secret != "", key.SecretFile != ""}
	pairs := []bool{key.PublicKey != "", key.PublicKeyFile != "", key.PrivateKey != "", key.PrivateKeyFile != ""}
	given := count(secrets) + count(pairs)
	shared := strings.HasPrefix(key.Algorithm, "HS")
	switch {
	case given == 0 && shared:
		v.fault(path, "has no secret: name its secret_file")
	case given == 0:
		v.fault(path, "has no key: name its public_key_file, or a private_key_file to sign too")
	case given > 1:
		v.fault(path, "has more than one source: a private key brings its public one along, keep that")
	case shared && count(secrets) == 0:
		v.fault(path, "an HS algorithm takes secret or secret_file, never a key pair")
	case !shared && count(pairs) == 0:
		v.fault(path, "this algorithm takes a public or private key, not a secret")
	}
}

func count(given []bool) (n int) {
	for _, g := range given {
		if g {
			n++
		}
	}
	return n
}
