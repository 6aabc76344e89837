package config

import "slices"

// Issuer is one party whose tokens are accepted, and on what terms.
type Issuer struct {
	Name           string         `yaml:"name" required:"is missing: give the issuer a name" example:"main" doc:"What routes, revocations and metrics call it."`
	Issuer         string         `yaml:"issuer" required:"is missing: write the tokens' iss, or \"\" if they carry none" example:"https://auth.example.com" doc:"The tokens' iss claim, exactly. \"\" accepts only tokens that carry none."`
	Audiences      []string       `yaml:"audiences" example:"[api]" doc:"One of them must be in the tokens' aud claim."`
	AnyAudience    bool           `yaml:"any_audience" default:"false" doc:"Accept tokens for any audience, or none. Must be written if audiences is not."`
	Keys           []Key          `yaml:"keys" doc:"The keys that its tokens are signed with. The first that can sign is the signer, where there is no key_ring."`
	KeyRing        *KeyRing       `yaml:"key_ring" doc:"Signing keys that are made here, kept in the store and shared by its replicas, in addition to keys. From its first key on the ring is the signer, and keys only verify."`
	JWKSFile       File           `yaml:"jwks_file" doc:"File with a JSON Web Key Set (RFC 7517) of public keys, in addition to keys. Read again when it changes."`
	JWKSURL        string         `yaml:"jwks_url" example:"https://auth.example.com/jwks.json" doc:"URL of the issuer's JSON Web Key Set, in addition to keys: https, or http on loopback. It is read every few minutes, and early for a kid that is not known. While it cannot be, the last good set stays for up to 24h, also over a restart."`
	Discovery      bool           `yaml:"discovery" default:"false" doc:"Find that URL in the issuer's metadata instead (OpenID Connect Discovery, or RFC 8414): issuer is then a URL."`
	Algorithms     []string       `yaml:"algorithms" default:"[RS256, ES256]" oneof:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"Algorithms that keys of jwks_file, jwks_url and discovery may be used with. Each of keys names its own."`
	Introspection  *Introspection `yaml:"introspection" doc:"The issuer's tokens are opaque: it is asked about each (RFC 7662), and what it answers takes the place of a token's claims, in everything that is said of them here. Such an issuer has no keys, and a route accepts the tokens of one such issuer at most."`
	TLS            ClientTLS      `yaml:"tls" doc:"How the https servers of jwks_url, discovery and introspection are spoken to. The files are read again when they change."`
	Leeway         Duration       `yaml:"leeway" default:"10s" max:"60s" doc:"Clock difference that is forgiven in exp, nbf and iat."`
	MaxTokenBytes  Size           `yaml:"max_token_bytes" default:"4KiB" min:"256B" max:"16KiB" doc:"Longest token. Its JOSE header may have 1 KiB at most."`
	MaxTokenLife   Duration       `yaml:"max_token_life" default:"24h" min:"1s" max:"8760h" doc:"Longest life: exp - iat, or exp - now in a token without iat. Revocations are kept for as long."`
	SubjectClaim   string         `yaml:"subject_claim" default:"sub" doc:"The claim that names who the token is about; dots lead into objects."`
	RequiredClaims []string       `yaml:"required_claims" default:"[sub]" doc:"Claims that a token must carry, and not as null. [] for none."`
	Cookie         string         `yaml:"cookie" example:"__Host-token" doc:"Name of a cookie that may carry the token where a request has no Authorization; it begins with __Host-. Unsafe methods must then come from the same origin. Absent: none."`
	Renew          *Renew         `yaml:"renew" doc:"Sliding expiry, on routes with renew: true. Needs a key that can sign; renew: {} takes the defaults."`
}

// Introspection is how an issuer is asked about its tokens.
type Introspection struct {
	URL              string   `yaml:"url" required:"is missing: say what to ask, as in https://auth.example.com/introspect" example:"https://auth.example.com/introspect" doc:"The introspection endpoint: https, or http on loopback. It is asked for tokens that are not of the form of a JWT (three parts), by POST and with the credentials below as Basic."`
	ClientID         string   `yaml:"client_id" required:"is missing: name the client that gatehouse is registered there as" example:"gatehouse" doc:"What gatehouse is registered there as."`
	ClientSecret     Secret   `yaml:"client_secret" doc:"Its secret."`
	ClientSecretFile File     `yaml:"client_secret_file" private:"true" example:"introspection.secret" doc:"File with it, less one trailing line end."`
	Timeout          Duration `yaml:"timeout" default:"2s" min:"10ms" max:"30s" doc:"Time for one call, connecting included. Without an answer a request is refused with 503."`
	Cache            Duration `yaml:"cache" default:"30s" max:"1h" doc:"How long an answer about a good token is believed, never past its exp: a token that is revoked there is let through for that long, one that is revoked here is not. 0: each request asks."`
	MaxConcurrent    int      `yaml:"max_concurrent" default:"64" min:"1" max:"10000" doc:"Calls that may be under way at once. Requests that would need more are refused with 503, so that a flood of made-up tokens is not passed on."`
}

// Key is one key of an issuer, bound to one algorithm.
type Key struct {
	KID            string `yaml:"kid" example:"k1" doc:"The kid of the tokens' headers. Without it the key is for tokens that carry none, or one that no key has: such a token is tried with four keys at most, with two on P-521 or of RSA above 4096 bits."`
	Algorithm      string `yaml:"algorithm" required:"is missing: a key is used with exactly one algorithm" example:"ES256" oneof:"HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"The one algorithm that the key is used with."`
	PublicKey      string `yaml:"public_key" doc:"Public key or certificate in PEM."`
	PublicKeyFile  File   `yaml:"public_key_file" example:"k1.pub.pem" doc:"File with it."`
	PrivateKey     Secret `yaml:"private_key" doc:"Private key in PEM; it can sign."`
	PrivateKeyFile File   `yaml:"private_key_file" private:"true" doc:"File with it."`
	Secret         Secret `yaml:"secret" doc:"Shared secret of an HS algorithm, the bytes as they are; it can sign."`
	SecretFile     File   `yaml:"secret_file" private:"true" doc:"File with it, less one trailing line end."`
}

// KeyRing is how signing keys are made and rotated.
type KeyRing struct {
	Algorithm         string   `yaml:"algorithm" default:"ES256" oneof:"HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"The algorithm of the keys that are made from now on."`
	EncryptionKey     Secret   `yaml:"encryption_key" doc:"The key that they are encrypted under in the store: 64 hex digits, as openssl rand -hex 32 prints them. It stays the same as long as the ring is used."`
	EncryptionKeyFile File     `yaml:"encryption_key_file" private:"true" example:"keyring.secret" doc:"File with it, less one trailing line end."`
	RotateEvery       Duration `yaml:"rotate_every" default:"720h" max:"8760h" doc:"How often a new key begins to sign. 0: when gatehouse signing-key rotate is called."`
	PublishFor        Duration `yaml:"publish_for" default:"10m" min:"1s" max:"720h" doc:"How long a new key is published before it signs, so that all who verify have it by then."`
}

// Renew is when tokens of an issuer slide.
type Renew struct {
	After      float64  `yaml:"after" default:"0.5" min:"0" max:"1" doc:"Fraction of a token's life that must be used up. 0: every successful response renews."`
	MaxSession Duration `yaml:"max_session" default:"12h" min:"1s" max:"8760h" doc:"Longest session, from auth_time. Nothing is renewed past it."`
}

// signs reports whether there is a key that can sign tokens.
func (is *Issuer) signs() bool {
	return is.KeyRing != nil || slices.ContainsFunc(is.Keys, func(k Key) bool { return k.signs() })
}

// signs reports whether the key can sign tokens.
func (k *Key) signs() bool {
	return k.PrivateKey != "" || k.PrivateKeyFile != "" || k.Secret != "" || k.SecretFile != ""
}
