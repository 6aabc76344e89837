package config

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

func (v *validator) clients(t *TokenService, issuer *Issuer) {
	ids, keys := map[string]string{}, map[string]string{}
	for i := range t.Clients {
		c, path := &t.Clients[i], fmt.Sprintf("token_service.clients[%d]", i)
		v.name(path+".id", c.ID)
		v.unique(ids, c.ID, path+".id")
		if issuer != nil && slices.ContainsFunc(issuer.Keys, func(k Key) bool { return k.KID == c.ID && c.ID != "" }) {
			v.fault(path+".id", "is the kid of a key of the issuer, which would be taken for the client's")
		}
		if issuer != nil && c.AccessTTL > issuer.MaxTokenLife && c.AccessTTL != t.AccessTTL {
			v.fault(path+".access_ttl", "is longer than the issuer's max_token_life, so that it would refuse its own tokens")
		}
		if c.AccessTTL.Std() < time.Second {
			v.fault(path+".access_ttl", "must be at least 1s, or 0 for that of the service")
		}
		v.scopes(path+".scopes", c.Scopes)
		if len(c.Grants) == 0 {
			v.fault(path+".grants", "is empty, so that the client can do nothing: list its grants")
		}
		v.clientSecret(path, c)
		v.signingSecret(path, c)
		v.clientKey(path, c, keys)
	}
}

// clientSecret checks what the client proves itself with.
func (v *validator) clientSecret(path string, c *Client) {
	switch none := c.SecretSHA256 == (Hash{}); {
	case none && v.written(path+".secret_sha256"):
		v.fault(path+".secret_sha256", "is the hash of nothing: remove the key if the client has no secret")
	case c.SecretSHA256 == sha256.Sum256(nil):
		v.fault(path+".secret_sha256", "is the hash of an empty secret: hash the secret itself, with gatehouse key hash")
	case none && slices.Contains(c.Grants, "client_credentials"):
		v.fault(path+".secret_sha256", "is missing: the grant client_credentials needs a secret; gatehouse key new makes one")
	}
}

// signingSecret checks what the grant client_secret needs and no other does.
func (v *validator) signingSecret(path string, c *Client) {
	granted := slices.Contains(c.Grants, "client_secret")
	given := c.SigningSecret != "" || c.SigningSecretFile != ""
	const without = "is for the grant client_secret, which the client does not have"
	switch {
	case c.SigningSecret != "" && c.SigningSecretFile != "":
		v.fault(path+".signing_secret_file", "signing_secret is set too: keep one of the two")
	case granted && !given:
		v.fault(path+".signing_secret_file", "is missing: the grant client_secret needs a secret of at least 32 bytes")
	case !granted && c.SigningSecretFile != "":
		v.fault(path+".signing_secret_file", without)
	case !granted && given:
		v.fault(path+".signing_secret", without)
	}
	switch {
	case granted && c.APIKeyID == "":
		v.fault(path+".api_key_id", "is missing: the grant client_secret needs the id of the client's API key")
	case !granted && c.APIKeyID != "":
		v.fault(path+".api_key_id", without)
	}
}

// clientKey checks that an API key is that of one client. Keys made at run time
// are not known here: that there is none may be as it should.
func (v *validator) clientKey(path string, c *Client, keys map[string]string) {
	if c.APIKeyID == "" {
		return
	}
	at := path + ".api_key_id"
	v.name(at, c.APIKeyID)
	if first, again := keys[c.APIKeyID]; again {
		v.fault(at, "is that of %s too: the key tells which client it is", v.line(first))
		return
	}
	keys[c.APIKeyID] = at
	if !v.broken("api_keys") && !slices.ContainsFunc(v.APIKeys.Keys, func(k APIKey) bool { return k.ID == c.APIKeyID }) {
		v.warnings = append(v.warnings, v.Problem(at, "no key under api_keys has that id: the client can come in with one that is made at run time only").Error())
	}
}
