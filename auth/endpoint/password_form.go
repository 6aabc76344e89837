package endpoint

import (
	"net/http"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// passwordForm speaks OAuth 2.0's password form, with errors as FastAPI writes
// them. Clients need not name themselves.
var passwordForm = dialect{
	operations: func(cfg Config) []operation {
		return []operation{
			{path: cfg.below("/login"), name: "password", methods: post, body: body{form: true, required: []string{"grant_type", "username", "password"}}, client: optionalClient, serve: passwordFormLogin},
			{path: cfg.below("/refresh"), name: "refresh_token", methods: post, client: optionalClient, serve: passwordFormRefresh},
			{path: cfg.below("/postman-refresh"), name: "refresh_token", methods: post, body: body{form: true, required: []string{"grant_type", "refresh_token"}}, client: optionalClient, serve: passwordFormPostmanRefresh},
		}
	},
	refuse: func(f failure) any { return detail{f.text(), f.reason.String()} },
}

type detail struct {
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func passwordFormLogin(c *call) (any, error) {
	if err := c.wantGrant(token.GrantPassword); err != nil {
		return nil, err
	}
	return c.formTokens(c.password(token.PasswordGrant{Username: c.parameters["username"]}))
}

// passwordFormRefresh takes the refresh token from a header of its own. One
// that stands twice is none.
func passwordFormRefresh(c *call) (any, error) {
	lines := c.r.Header["Refresh-Token"]
	if len(lines) != 1 || lines[0] == "" {
		return nil, refusal(auth.RequestMalformed, "want one header refresh-token")
	}
	return c.formTokens(c.refresh(lines[0], nil))
}

func passwordFormPostmanRefresh(c *call) (any, error) {
	if err := c.wantGrant(token.GrantRefresh); err != nil {
		return nil, err
	}
	return c.formTokens(c.refresh(c.parameters["refresh_token"], nil))
}

// wantGrant refuses a request that asks for another grant than its path is for.
func (c *call) wantGrant(grant token.GrantType) error {
	if c.parameters["grant_type"] != string(grant) {
		return refusal(auth.GrantUnsupported, "grant_type must be %s", grant)
	}
	return nil
}

// formTokens is the answer, with the cookie where there is to be one.
func (c *call) formTokens(g token.Grant, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if name := c.endpoint.cfg.Cookie; name != "" {
		http.SetCookie(c.w, &http.Cookie{
			Name: name, Value: g.AccessToken, MaxAge: int(seconds(g.ExpiresIn)),
			Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		})
	}
	return tokenAnswer{AccessToken: g.AccessToken, RefreshToken: g.RefreshToken, TokenType: "bearer", ExpiresIn: seconds(g.ExpiresIn)}, nil
}
