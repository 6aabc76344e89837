package config

import (
	"fmt"
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
		v.introspection(path, is)
		v.issuerTLS(path+".tls", is)
		v.keyRing(path+".key_ring", is.KeyRing)
		v.cookie(path+".cookie", is.Cookie)
		if is.Renew != nil && is.Introspection == nil && !is.signs() {
			v.fault(path+".renew", "needs a key that can sign: one with private_key_file or secret_file, or a key_ring")
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
	sets := count([]bool{is.JWKSFile != "", is.JWKSURL != "", is.Discovery})
	if len(is.Keys) == 0 && sets == 0 && is.KeyRing == nil && is.Introspection == nil {
		v.fault(path+".keys", "is missing: no token can be verified without keys, jwks_file, jwks_url, discovery, key_ring or introspection")
	}
	if sets > 0 && len(is.Algorithms) == 0 {
		v.fault(path+".algorithms", "is empty: name those that keys of a set may be used with, as in [RS256, ES256]")
	}
	if is.Discovery && is.Issuer == "" {
		v.fault(path+".issuer", "is empty, and discovery finds the keys by it")
	}
	if is.JWKSURL != "" && is.Discovery {
		v.fault(path+".discovery", "jwks_url is set too: keep one of the two")
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

func (v *validator) keyRing(path string, ring *KeyRing) {
	switch {
	case ring == nil:
		return
	case ring.EncryptionKey == "" && ring.EncryptionKeyFile == "":
		v.fault(path+".encryption_key_file", "is missing: openssl rand -hex 32 makes a key, which every replica must have")
	case ring.EncryptionKey != "" && ring.EncryptionKeyFile != "":
		v.fault(path+".encryption_key_file", "encryption_key is set too: keep one of the two")
	}
	if ring.RotateEvery > 0 && ring.RotateEvery < ring.PublishFor {
		v.fault(path+".rotate_every", "must be at least publish_for: a key is published that long before it signs")
	}
}

// cookie checks the name of a cookie. The prefix makes browsers refuse it from
// other hosts, other paths, and without TLS.
func (v *validator) cookie(path, name string) {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) } // RFC 6265 §4.1.1
	if name != "" && (!strings.HasPrefix(name, cookiePrefix) || name == cookiePrefix || len(name) > nameBytes || strings.ContainsFunc(name, odd)) {
		v.fault(path, "is not the name of a cookie that begins with %s, as in %stoken", cookiePrefix, cookiePrefix)
	}
}

const cookiePrefix = "__Host-"

func count(given []bool) (n int) {
	for _, g := range given {
		if g {
			n++
		}
	}
	return n
}
