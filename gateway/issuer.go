package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"gatehouse/auth"
	"gatehouse/auth/keyset"
	"gatehouse/config"
)

// Issuers returns the issuers of a configuration with their keys, for a command.
// Key rings are read from the store, published keys from their issuers. The
// error is config.Problems, or the store's.
func Issuers(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]*auth.Issuer, error) {
	b := &builder{cfg: cfg, parts: apart(cfg, log)}
	issuers := b.issuers()
	if len(b.problems) > 0 {
		return nil, b.sorted()
	}
	b.parts.remotes.load(ctx)
	return issuers, b.parts.rings.load(ctx)
}

// Ring returns the key ring of an issuer, as the store has it; nil when the
// issuer has none.
func Ring(ctx context.Context, cfg *config.Config, log *slog.Logger, issuer string) (*keyset.Ring, error) {
	issuers, err := Issuers(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	for _, i := range issuers {
		keys := i.Keys
		if clients, ok := keys.(*auth.ClientKeys); ok {
			keys = clients.Keys
		}
		if keys, ok := keys.(ringKeys); ok && i.Name == issuer {
			return keys.ring, nil
		}
	}
	return nil, nil
}

func (b *builder) issuers() []*auth.Issuer {
	issuers := make([]*auth.Issuer, 0, len(b.cfg.Issuers))
	for i, c := range b.cfg.Issuers {
		path := fmt.Sprintf("issuers[%d]", i)
		issuer := &auth.Issuer{
			Name: c.Name, Issuer: c.Issuer, Audiences: c.Audiences, AnyAudience: c.AnyAudience,
			Keys: auth.NewStaticKeys(b.keys(path, c)), Leeway: c.Leeway.Std(),
			MaxTokenBytes: int(c.MaxTokenBytes), MaxTokenLife: c.MaxTokenLife.Std(),
			SubjectClaim: c.SubjectClaim, Required: c.RequiredClaims, Cookie: c.Cookie,
		}
		for alg, n := range auth.Untried([]*auth.Issuer{issuer}) {
			b.warnings = append(b.warnings, b.cfg.Problem(path+".keys",
				"keys of %s that are never tried: %d, which have no kid and stand behind as many as are tried for one token; give each its kid", alg, n).Error())
		}
		if c.JWKSURL != "" || c.Discovery {
			b.remote(path, issuer, c)
		}
		if c.Introspection != nil {
			b.introspection(path, issuer, c)
		}
		if c.KeyRing != nil {
			b.ring(path+".key_ring", issuer, c.KeyRing)
		}
		if c.Renew != nil {
			issuer.Renew = &auth.RenewPolicy{After: c.Renew.After, MaxSession: c.Renew.MaxSession.Std()}
		}
		if s := b.cfg.TokenService; s != nil && s.Issuer == c.Name {
			b.serve(issuer)
		}
		issuers = append(issuers, issuer)
	}
	return issuers
}

// ring makes a key ring sign for the issuer.
func (b *builder) ring(path string, issuer *auth.Issuer, c *config.KeyRing) {
	text, field, err := reveal(".encryption_key", c.EncryptionKey, c.EncryptionKeyFile)
	if err != nil {
		b.fault(path+field, err)
		return
	}
	key, err := keyset.ParseEncryptionKey(text)
	if err != nil {
		b.fault(path+field, err)
		return
	}
	ring, err := b.parts.rings.ring(issuer, c, key)
	if err != nil {
		b.fault(path, err)
		return
	}
	issuer.Keys = ringKeys{issuer.Keys, ring}
}

// remote adds the keys that the issuer publishes.
func (b *builder) remote(path string, issuer *auth.Issuer, c config.Issuer) {
	at := path + ".jwks_url"
	if c.Discovery {
		at = path + ".issuer"
	}
	if b.faulty(at) || b.faulty(path+".algorithms") {
		return
	}
	remote, err := b.parts.remotes.remote(c, b.clientTLS(path+".tls", c.TLS))
	if err != nil {
		b.fault(at, err)
		return
	}
	issuer.Keys = remoteKeys{issuer.Keys, remote}
}

// keys are the issuer's own and those of its key set, in this order.
func (b *builder) keys(path string, c config.Issuer) []*auth.Key {
	keys := make([]*auth.Key, 0, len(c.Keys))
	for i, k := range c.Keys {
		at := fmt.Sprintf("%s.keys[%d]", path, i)
		if b.faulty(at) {
			continue
		}
		key, field, err := makeKey(k)
		if err != nil {
			b.fault(at+field, err)
			continue
		}
		keys = append(keys, key)
	}
	if c.JWKSFile == "" {
		return keys
	}
	at := path + ".jwks_file"
	data, err := c.JWKSFile.Read()
	if err != nil {
		b.fault(at, err)
		return keys
	}
	set, skipped, err := keyset.ParseJWKS(data, c.Algorithms)
	if err != nil {
		b.fault(at, err)
		return keys
	}
	for _, reason := range skipped {
		b.warnings = append(b.warnings, b.cfg.Problem(at, "%v: left out", reason).Error())
	}
	for _, key := range set {
		if key.ID != "" && auth.NewStaticKeys(keys).Find(key.ID) != nil {
			b.fault(at, fmt.Errorf("kid %q stands under keys too: take one of the two out", key.ID))
		}
	}
	return append(keys, set...)
}

// makeKey builds one key. With an error, field is the field at fault, as the
// end of its path.
func makeKey(k config.Key) (key *auth.Key, field string, err error) {
	switch {
	case k.Secret != "" || k.SecretFile != "":
		secret, field, err := reveal(".secret", k.Secret, k.SecretFile)
		if err != nil {
			return nil, field, err
		}
		key, err = auth.NewSecretKey(k.KID, k.Algorithm, []byte(secret))
		return key, field, err
	case k.PrivateKey != "" || k.PrivateKeyFile != "":
		text, field, err := reveal(".private_key", k.PrivateKey, k.PrivateKeyFile)
		if err != nil {
			return nil, field, err
		}
		private, err := keyset.PrivateKeyPEM([]byte(text))
		if err != nil {
			return nil, field, err
		}
		key, err = auth.NewSigningKey(k.KID, k.Algorithm, private)
		return key, field, err
	case k.PublicKey != "" || k.PublicKeyFile != "":
		text, field := []byte(k.PublicKey), ".public_key"
		if k.PublicKeyFile != "" {
			field += "_file"
			if text, err = k.PublicKeyFile.Read(); err != nil {
				return nil, field, err
			}
		}
		public, err := keyset.PublicKeyPEM(text)
		if err != nil {
			return nil, field, err
		}
		key, err = auth.NewVerificationKey(k.KID, k.Algorithm, public)
		return key, field, err
	}
	return nil, "", errors.New("has no key: write public_key_file, private_key_file or secret_file")
}

// reveal returns a secret that stands in the config or in a file, and the field
// that it came from.
func reveal(field string, inline config.Secret, file config.File) (secret, at string, err error) {
	if file == "" {
		return inline.Reveal(), field, nil
	}
	s, err := file.ReadSecret()
	return s.Reveal(), field + "_file", err
}
