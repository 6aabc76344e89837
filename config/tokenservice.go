package config

// TokenService is the token endpoints for those who have no auth service.
type TokenService struct {
	Issuer       string       `yaml:"issuer" example:"main" doc:"Name of the issuer whose tokens are issued: one that can sign, with a private key, a secret or a key_ring."`
	Audience     string       `yaml:"audience" example:"api" doc:"The tokens' aud claim: one of the issuer's audiences."`
	AccessTTL    Duration     `yaml:"access_ttl" default:"1h" min:"1s" max:"8760h" doc:"Life of an access token; at most the issuer's max_token_life."`
	RefreshTTL   Duration     `yaml:"refresh_ttl" default:"720h" max:"8760h" doc:"How long a refresh token can be used. 0: none are issued."`
	RefreshGrace Duration     `yaml:"refresh_grace" default:"10s" max:"60s" doc:"A refresh token that comes again within this time gets the same successor, for clients that have missed the answer. Later it is a replay, which ends the session. 0: at once."`
	MaxSession   Duration     `yaml:"max_session" default:"720h" min:"1s" max:"8760h" doc:"Longest session, from the login. Nothing is refreshed past it."`
	PublicURL    string       `yaml:"public_url" example:"https://auth.example.com" doc:"What clients reach this gateway by, for the URLs in the metadata. Absent: the issuer's iss where it is a URL, else the host that the request names."`
	Users        []UserSource `yaml:"users" doc:"Where user names and passwords are checked, asked in order; the first that knows the name answers."`
	Clients      []Client     `yaml:"clients" doc:"The applications that tokens are issued to."`
	LoginLimits  LoginLimits  `yaml:"login_limits" doc:"How many failed logins are taken before the answer is 429. A login counts while it is under way, and no more when it succeeds."`
	Endpoints    []Endpoint   `yaml:"endpoints" doc:"What is served where. A path that a route claims too is an error."`
}

// Client is an application that tokens are issued to (RFC 6749 §2). One with no
// secret_sha256 is a public client.
type Client struct {
	ID                string   `yaml:"id" required:"is missing: name the client" example:"reporting" doc:"The client_id. No key of the issuer has it as its kid."`
	SecretSHA256      Hash     `yaml:"secret_sha256" example:"\"64 hex digits\"" doc:"Hex SHA-256 of the client's secret; gatehouse key new and gatehouse key hash print it. Absent: a public client, which has none."`
	SigningSecret     Secret   `yaml:"signing_secret" doc:"For the grant client_secret: the secret that the client sends, and that its tokens are signed with, by HS256."`
	SigningSecretFile File     `yaml:"signing_secret_file" private:"true" doc:"File with it, less one trailing line end."`
	APIKeyID          string   `yaml:"api_key_id" example:"partner-1" doc:"For the grant client_secret: the id of the client's API key."`
	Grants            []string `yaml:"grants" required:"is missing: list the grants that the client may use" example:"[client_credentials]" oneof:"password,refresh_token,client_credentials,client_secret" doc:"How it may come by tokens."`
	Scopes            []string `yaml:"scopes" example:"[orders:read]" doc:"The scopes that it may ask for."`
	AccessTTL         Duration `yaml:"access_ttl" inherit:"token_service.access_ttl" example:"15m" max:"8760h" doc:"Life of its access tokens. 0: the service's."`
}

// LoginLimits bound failed logins. They count per account and address together,
// so that an attacker elsewhere cannot lock the owner out.
type LoginLimits struct {
	PerAccount          Rate `yaml:"per_account" default:"10/5m" doc:"Failed logins of one user name from one address, as in 10/5m. off: no limit."`
	PerIP               Rate `yaml:"per_ip" default:"50/5m" doc:"Failed logins from one address; of IPv6 addresses the first 64 bits count. off: no limit."`
	MaxConcurrentHashes int  `yaml:"max_concurrent_hashes" default:"2" min:"1" max:"64" doc:"How many passwords are hashed at once; each takes a processor for a while, and memory."`
}

// Endpoint is one dialect, served below one path. After Load its name and auth
// are set.
type Endpoint struct {
	Name                  string `yaml:"name" inherit:"dialect" example:"login" doc:"What logs, metrics and API keys call it, as they do routes."`
	Dialect               string `yaml:"dialect" required:"is missing: say which API is spoken" example:"oauth2" oneof:"oauth2,jsonapi,client_secret,password_form,envelope" doc:"The API that is spoken; docs/dialects.md has a page for each."`
	Path                  string `yaml:"path" required:"is missing: say where it is served, as in /oauth2" example:"/oauth2" doc:"What the paths of its operations begin with. They are exact; nothing else below it is taken."`
	Auth                  string `yaml:"auth" example:"none" oneof:"none,api_key" doc:"Whether an API key is asked for. Absent: api_key for jsonapi, none for the others."`
	Cookie                bool   `yaml:"cookie" default:"false" doc:"password_form: the access token comes as the issuer's cookie too."`
	ClientCredentialsPath string `yaml:"client_credentials_path" example:"/oauth/token" doc:"envelope: the exact path of the client credentials grant, not below path. Absent: /oauth/token."`
}
