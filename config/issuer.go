package config

// Issuer is one party whose tokens are accepted, and on what terms.
type Issuer struct {
	Name           string   `yaml:"name" required:"is missing: give the issuer a name" example:"main" doc:"What routes, revocations and metrics call it."`
	Issuer         string   `yaml:"issuer" required:"is missing: write the tokens' iss, or \"\" if they carry none" example:"https://auth.example.com" doc:"The tokens' iss claim, exactly. \"\" accepts only tokens that carry none."`
	Audiences      []string `yaml:"audiences" example:"[api]" doc:"One of them must be in the tokens' aud claim."`
	AnyAudience    bool     `yaml:"any_audience" default:"false" doc:"Accept tokens for any audience, or none. Must be written if audiences is not."`
	Keys           []Key    `yaml:"keys" doc:"The keys that its tokens are signed with. The first that can sign is the signer."`
	JWKSFile       File     `yaml:"jwks_file" doc:"File with a JSON Web Key Set (RFC 7517) of public keys, in addition to keys. Read again when it changes."`
	Algorithms     []string `yaml:"algorithms" default:"[RS256, ES256]" oneof:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"Algorithms that keys of jwks_file may be used with. Each of keys names its own."`
	Leeway         Duration `yaml:"leeway" default:"10s" max:"60s" doc:"Clock difference that is forgiven in exp, nbf and iat."`
	MaxTokenBytes  Size     `yaml:"max_token_bytes" default:"4KiB" min:"256B" max:"16KiB" doc:"Longest token. Its JOSE header may have 1 KiB at most."`
	MaxTokenLife   Duration `yaml:"max_token_life" default:"24h" min:"1s" max:"8760h" doc:"Longest life: exp - iat, or exp - now in a token without iat. Revocations are kept for as long."`
	SubjectClaim   string   `yaml:"subject_claim" default:"sub" doc:"The claim that names who the token is about; dots lead into objects."`
	RequiredClaims []string `yaml:"required_claims" default:"[sub]" doc:"Claims that a token must carry, and not as null. [] for none."`
	Renew          *Renew   `yaml:"renew" doc:"Sliding expiry, on routes with renew: true. Needs a key that can sign; renew: {} takes the defaults."`
}

// Key is one key of an issuer, bound to one algorithm.
type Key struct {
	KID            string `yaml:"kid" example:"k1" doc:"The kid of the tokens' headers. Without it the key is for tokens that carry none, or one that no key has."`
	Algorithm      string `yaml:"algorithm" required:"is missing: a key is used with exactly one algorithm" example:"ES256" oneof:"HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA" doc:"The one algorithm that the key is used with."`
	PublicKey      string `yaml:"public_key" doc:"Public key or certificate in PEM."`
	PublicKeyFile  File   `yaml:"public_key_file" example:"k1.pub.pem" doc:"File with it."`
	PrivateKey     Secret `yaml:"private_key" doc:"Private key in PEM; it can sign."`
	PrivateKeyFile File   `yaml:"private_key_file" private:"true" doc:"File with it."`
	Secret         Secret `yaml:"secret" doc:"Shared secret of an HS algorithm, the bytes as they are; it can sign."`
	SecretFile     File   `yaml:"secret_file" private:"true" doc:"File with it, less one trailing line end."`
}

// Renew is when tokens of an issuer slide.
type Renew struct {
	After      float64  `yaml:"after" default:"0.5" min:"0" max:"1" doc:"Fraction of a token's life that must be used up. 0: every successful response renews."`
	MaxSession Duration `yaml:"max_session" default:"12h" min:"1s" max:"8760h" doc:"Longest session, from auth_time. Nothing is renewed past it."`
}

// signs reports whether the key can sign tokens.
func (k *Key) signs() bool {
	return k.PrivateKey != "" || k.PrivateKeyFile != "" || k.Secret != "" || k.SecretFile != ""
}
