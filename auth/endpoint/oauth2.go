package endpoint

import (
	"net/http"
	"strings"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// oauth2 speaks RFC 6749, with revocation (RFC 7009), introspection (RFC 7662),
// metadata (RFC 8414) and keys (RFC 7517).
var oauth2 = dialect{
	operations: func(cfg Config) []operation {
		return append([]operation{
			{path: cfg.below("/token"), name: "unknown", methods: post, body: body{form: true, required: []string{"grant_type"}}, client: namedClient, serve: oauth2Token},
			{path: cfg.below("/revoke"), name: "revoke", methods: post, body: body{form: true, required: []string{"token"}}, client: namedClient, serve: oauth2Revoke},
			{path: cfg.below("/introspect"), name: "introspect", methods: post, body: body{form: true, required: []string{"token"}}, client: namedClient, serve: oauth2Introspect},
		}, wellKnown(cfg)...)
	},
	refuse: func(f failure) any {
		code, known := oauth2Errors[f.reason]
		if !known {
			code = "invalid_request"
		}
		return oauth2Error{code, strings.Map(describable, f.text())}
	},
	statuses: map[auth.Reason]int{auth.CredentialsInvalid: http.StatusBadRequest, auth.GrantInvalid: http.StatusBadRequest},
}

// oauth2Errors are the error codes of RFC 6749 §5.2, and of §4.1.2.1 for what
// is a fault of ours. What is not here is invalid_request.
var oauth2Errors = map[auth.Reason]string{
	auth.Undecided:          "server_error",
	auth.APIKeyMissing:      "invalid_client",
	auth.APIKeyInvalid:      "invalid_client",
	auth.APIKeyForbidden:    "unauthorized_client",
	auth.RateLimited:        "temporarily_unavailable",
	auth.CredentialsInvalid: "invalid_grant",
	auth.GrantInvalid:       "invalid_grant",
	auth.GrantUnsupported:   "unsupported_grant_type",
	auth.ClientInvalid:      "invalid_client",
	auth.ClientForbidden:    "unauthorized_client",
	auth.ScopeInvalid:       "invalid_scope",
	auth.RevocationStale:    "temporarily_unavailable",
	auth.KeysUnavailable:    "temporarily_unavailable",
	auth.StoreUnavailable:   "temporarily_unavailable",
	auth.UsersUnavailable:   "temporarily_unavailable",
}

type oauth2Error struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// describable replaces what an error_description cannot have (RFC 6749 §5.2).
func describable(r rune) rune {
	if r < ' ' || r > '~' || r == '"' || r == '\\' {
		return '?'
	}
	return r
}

// oauth2Grants are the grants of the token endpoint, with the parameters that
// each must have.
var oauth2Grants = map[token.GrantType]struct {
	required []string
	grant    func(*call) (token.Grant, error)
}{
	token.GrantPassword: {[]string{"username", "password"}, func(c *call) (token.Grant, error) {
		return c.password(token.PasswordGrant{Username: c.parameters["username"]})
	}},
	token.GrantRefresh: {[]string{"refresh_token"}, func(c *call) (token.Grant, error) {
		return c.refresh(c.parameters["refresh_token"], c.parameters.scopes())
	}},
	token.GrantClientCredentials: {nil, (*call).clientCredentials},
}

func oauth2Token(c *call) (any, error) {
	grant, supported := oauth2Grants[token.GrantType(c.parameters["grant_type"])]
	if !supported {
		return nil, refusal(auth.GrantUnsupported, "")
	}
	c.name = c.parameters["grant_type"]
	if err := c.parameters.require(grant.required...); err != nil {
		return nil, err
	}
	g, err := grant.grant(c)
	return tokenAnswer{
		AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, TokenType: "Bearer",
		ExpiresIn: seconds(g.ExpiresIn), Scope: strings.Join(g.Scopes, " "),
	}, err
}

// tokenAnswer is that of RFC 6749 §5.1.
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitzero"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Scope        string `json:"scope,omitzero"`
}

func oauth2Revoke(c *call) (any, error) {
	return nil, c.endpoint.cfg.Engine.Revoke(c.r.Context(), token.Revocation{
		Request: c.request, Token: c.parameters["token"],
	})
}
