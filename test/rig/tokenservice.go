package rig

// The passwords of the users of [TokenService], and the secrets of its clients
// and API keys.
const (
	JanePassword    = "correct horse"  // of jane, who is user-123
	BobPassword     = "staple battery" // of bob, who is user-456
	MalloryPassword = "crème brûlée"   // of mallory, who is disabled

	WebKey        = "gh_a-key-for-tests-with-many-characters"
	PartnerKey    = "gh_another-key-for-the-partner-of-tests"
	PartnerSecret = "n4Tq8wLz1KfVb6RyXc3HmDp9UgSe5JaO"
	BackendSecret = "a secret: of 100% + backend"
	ReportSecret  = "the-secret-of-reporting"
)

// Users is a users file. Its hashes were made by golang.org/x/crypto: the first
// with the parameters that OWASP asks for, the others cheap.
const Users = `- id: user-123
  username: jane
  email: jane@example.com
  password_hash: "$argon2id$v=19$m=19456,t=2,p=1$YSBzYWx0IG9mIDE2IGLzAQ$Ky6iYJ1wVZDD+nuzTUdnkdoK+THAd4Zm69VbLBjligE"
  claims: {firstName: Jane, lastName: Doe, roles: [staff], account: 12345678901234567890}
- id: user-456
  username: bob
  password_hash: "$2a$04$Pxb4oBmKBzvVVEt253KU3e4bVwcl35QndrmsGJ7eDh28ZzWhhab9C"
- id: user-789
  username: mallory
  email: mallory@example.com
  password_hash: "$argon2id$v=19$m=64,t=1,p=1$YSBzYWx0IG9mIDE2IGLzAQ$cO1cfJxAn1wLvFQCC4+cqaF4fApEfWxdBy8vHjglktA"
  disabled: true
`

// tokenService has every dialect, and a client of every kind. What tests alter
// is a variable with a default.
const tokenService = `server: {listen: "127.0.0.1:0", read_header_timeout: 2s, body_idle_timeout: 1s, drain_timeout: 5s, trusted_proxies: [127.0.0.1/32]}
admin: {listen: "127.0.0.1:0", token: "${ADMIN_TOKEN}"}
store: {url: "${STORE}", timeout: 2s}
revocation: {max_staleness: "${STALENESS:-5s}"}
api_keys:
  keys:
    - {id: web, sha256: "${WEB_KEY}"}
    - {id: partner-1, sha256: "${PARTNER_KEY}"}
issuers:
  - name: main
    issuer: https://auth.example.com
    audiences: [api]
    keys: [{kid: k1, algorithm: ES256, private_key_file: k1.pem}]
    leeway: 0s
    renew: {after: 0, max_session: 12h}
    cookie: __Host-access
defaults: {upstream: "${UPSTREAM}"}
routes:
  - {name: both, match: /both/}
  - {name: api, match: /api/, auth: bearer}
  - {name: sliding, match: /sliding/, auth: bearer, renew: true}
token_service:
  issuer: main
  audience: api
  access_ttl: "${ACCESS_TTL:-1h}"
  refresh_ttl: "${REFRESH_TTL:-720h}"
  refresh_grace: "${GRACE:-10s}"
  max_session: "${MAX_SESSION:-720h}"
  users: [{file: users.yaml}]
  clients:
    - {id: spa, grants: [password, refresh_token], scopes: [orders:read, orders:write]}
    - {id: other, grants: [password, refresh_token], scopes: [orders:read]}
    - {id: backend, secret_sha256: "${BACKEND_SECRET}", grants: [password, refresh_token, client_credentials], scopes: [orders:read]}
    - {id: reporting, secret_sha256: "${REPORT_SECRET}", grants: [client_credentials], scopes: [red-marker-review, blue-marker-review], access_ttl: "${REPORT_TTL:-15m}"}
    - {id: partner-1, api_key_id: partner-1, signing_secret_file: partner-1.secret, grants: [client_secret]}
  login_limits: {per_account: "${PER_ACCOUNT:-1000/5m}", per_ip: "${PER_IP:-1000/5m}", max_concurrent_hashes: 2}
  endpoints:
    - {dialect: oauth2, path: /oauth2}
    - {dialect: jsonapi, path: /ma-authentication-ms/v1/api, auth: api_key}
    - {dialect: client_secret, path: /}
    - {dialect: password_form, path: /auth/jwt, cookie: "${COOKIE:-false}"}
    - {dialect: envelope, path: /v1}
`

// TokenService is a gateway with the token service, on that store, in front of
// that upstream. Its Env can be altered: see tokenService.
func TokenService(store, upstream string) Config {
	return Config{
		YAML: tokenService,
		Files: map[string]string{
			"users.yaml": Users, "k1.pem": PrivatePEM(KeyPairs()["P-256"]), "partner-1.secret": PartnerSecret + "\n",
		},
		Env: map[string]string{
			"STORE": store, "UPSTREAM": upstream, "ADMIN_TOKEN": AdminToken, "WEB_KEY": Hash(WebKey), "PARTNER_KEY": Hash(PartnerKey),
			"BACKEND_SECRET": Hash(BackendSecret), "REPORT_SECRET": Hash(ReportSecret),
		},
	}
}
