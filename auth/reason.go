package auth

// Reason says why a request was allowed or denied. It is a closed set: answers,
// logs and metric labels carry its code. The zero value denies.
type Reason uint8

// The reasons, in the order in which a request can meet them.
const (
	Undecided Reason = iota // no decision was taken: a defect of ours, answered 500
	OK

	RequestMalformed
	MethodNotAllowed
	RequestTimeout
	RequestTooLarge
	RouteNotFound

	APIKeyMissing
	APIKeyInvalid
	APIKeyForbidden
	TokenMissing
	TokenMalformed
	TokenUntrusted
	TokenExpired
	TokenNotYetValid
	TokenAudience
	TokenClaims
	TokenRevoked
	ScopeInsufficient
	ClaimForbidden
	CertificateForbidden // the client's certificate: not one of the route's, none, or not valid any more
	OriginForbidden      // a cookie's token, sent by another site's page
	RateLimited

	// What the token service refuses; the OAuth error codes are those of RFC
	// 6749 §5.2.
	CredentialsInvalid // user name and password: invalid_grant
	GrantInvalid       // refresh token: invalid_grant
	GrantUnsupported   // unsupported_grant_type
	ClientInvalid      // invalid_client
	ClientForbidden    // unauthorized_client
	ScopeInvalid       // invalid_scope

	RevocationStale
	KeysUnavailable
	StoreUnavailable
	UsersUnavailable

	UpstreamUnavailable
	UpstreamTimeout
	ClientClosed // the client went away; no answer reaches it

	reasonCount
)

// Challenge is the error code of RFC 6750 §3.1 that goes into WWW-Authenticate.
type Challenge string

// The challenges. ChallengeBare is the header without an error, for a request
// that carried no token at all.
const (
	NoChallenge       Challenge = ""
	ChallengeBare     Challenge = "bare"
	InvalidRequest    Challenge = "invalid_request"
	InvalidToken      Challenge = "invalid_token"
	InsufficientScope Challenge = "insufficient_scope"
	ChallengeAPIKey   Challenge = "api_key"
	ChallengeBasic    Challenge = "basic" // a client of the token service (RFC 6749 §2.3.1)
)

var reasons = [reasonCount]struct {
	code      string
	status    int
	title     string
	challenge Challenge
}{
	Undecided: {"internal_error", 500, "The gateway failed to handle the request", NoChallenge},
	OK:        {"ok", 200, "Allowed", NoChallenge},

	RequestMalformed: {"request_malformed", 400, "The request is malformed", NoChallenge},
	MethodNotAllowed: {"method_not_allowed", 405, "The method is not allowed here", NoChallenge},
	RequestTimeout:   {"request_timeout", 408, "The request was not complete in time", NoChallenge},
	RequestTooLarge:  {"request_too_large", 413, "The request is too large", NoChallenge},
	RouteNotFound:    {"route_not_found", 404, "No route matches the request", NoChallenge},

	APIKeyMissing:        {"api_key_missing", 401, "The API key is missing", ChallengeAPIKey},
	APIKeyInvalid:        {"api_key_invalid", 401, "The API key is not valid", ChallengeAPIKey},
	APIKeyForbidden:      {"api_key_forbidden", 403, "The API key is not allowed on this route", NoChallenge},
	TokenMissing:         {"token_missing", 401, "The bearer token is missing", ChallengeBare},
	TokenMalformed:       {"token_malformed", 401, "The bearer token is malformed", InvalidToken},
	TokenUntrusted:       {"token_untrusted", 401, "The bearer token is not signed by a trusted key", InvalidToken},
	TokenExpired:         {"token_expired", 401, "The bearer token has expired", InvalidToken},
	TokenNotYetValid:     {"token_not_yet_valid", 401, "The bearer token is not valid yet", InvalidToken},
	TokenAudience:        {"token_audience", 401, "The bearer token is meant for another audience", InvalidToken},
	TokenClaims:          {"token_claims", 401, "A claim of the bearer token is missing or unusable", InvalidToken},
	TokenRevoked:         {"token_revoked", 401, "The credential has been revoked", InvalidToken},
	ScopeInsufficient:    {"scope_insufficient", 403, "The bearer token lacks a scope", InsufficientScope},
	ClaimForbidden:       {"claim_forbidden", 403, "A claim of the bearer token does not permit this", InsufficientScope},
	CertificateForbidden: {"certificate_forbidden", 403, "The client certificate is missing or does not permit this", NoChallenge},
	OriginForbidden:      {"origin_forbidden", 403, "The request comes from another site", NoChallenge},
	RateLimited:          {"rate_limited", 429, "Too many requests", NoChallenge},

	CredentialsInvalid: {"credentials_invalid", 401, "The user name or password is wrong", ChallengeBare},
	GrantInvalid:       {"grant_invalid", 401, "The refresh token is not valid", ChallengeBare},
	GrantUnsupported:   {"grant_unsupported", 400, "The grant type is not supported", NoChallenge},
	ClientInvalid:      {"client_invalid", 401, "The client is unknown or its secret is wrong", ChallengeBasic},
	ClientForbidden:    {"client_forbidden", 400, "The client may not use this grant", NoChallenge},
	ScopeInvalid:       {"scope_invalid", 400, "The scope is more than the client may have", NoChallenge},

	RevocationStale:  {"revocation_stale", 503, "The revocation list is too old to trust", NoChallenge},
	KeysUnavailable:  {"keys_unavailable", 503, "The issuer's keys cannot be had", NoChallenge},
	StoreUnavailable: {"store_unavailable", 503, "The store cannot be reached", NoChallenge},
	UsersUnavailable: {"users_unavailable", 503, "The users cannot be looked up", NoChallenge},

	UpstreamUnavailable: {"upstream_unavailable", 502, "The upstream cannot be reached", NoChallenge},
	UpstreamTimeout:     {"upstream_timeout", 504, "The upstream did not answer in time", NoChallenge},
	ClientClosed:        {"client_closed", 499, "The client closed the connection", NoChallenge},
}

// Reasons returns every reason there is, for tables that are indexed by it.
func Reasons() []Reason {
	all := make([]Reason, reasonCount)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// String returns the code, as answers, logs and metrics show it.
func (r Reason) String() string { return reasons[r].code }

// Error makes a reason the error of those who have no more to say.
func (r Reason) Error() string { return r.String() }

// MarshalText writes the code.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Status is the HTTP status of an answer with this reason (RFC 9110 §15).
func (r Reason) Status() int { return reasons[r].status }

// Title is one sentence for people; it says no more than the code does.
func (r Reason) Title() string { return reasons[r].title }

// Challenge is what the WWW-Authenticate header of the answer carries.
func (r Reason) Challenge() Challenge { return reasons[r].challenge }
