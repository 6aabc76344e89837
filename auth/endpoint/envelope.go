package endpoint

import (
	"gatehouse/auth"
	"gatehouse/auth/token"
)

// envelope wraps every answer in {"success":…,"data":…}.
var envelope = dialect{
	operations: func(cfg Config) []operation {
		return []operation{
			{path: cfg.below("/login"), name: "password", methods: post, body: body{json: true, required: []string{"email", "password"}}, serve: envelopeLogin},
			{path: cfg.below("/token"), name: "exchange", methods: getOrPost, serve: envelopeExchange},
			{path: cfg.below("/logout"), name: "logout", methods: getOrPost, serve: envelopeLogout},
			{
				path: cfg.ClientCredentialsPath, name: "client_credentials", methods: post, client: namedClient, serve: envelopeClientCredentials,
				body: body{form: true, json: true, required: []string{"grant_type"}, optional: []string{"scope", "client_id", "client_secret"}},
			},
		}
	},
	refuse: func(f failure) any {
		if f.reason == auth.CredentialsInvalid {
			return message{"Invalid credentials"}
		}
		return message{f.text()}
	},
}

type message struct {
	Message string `json:"message"`
}

type success struct {
	Success bool           `json:"success"`
	Data    *envelopeToken `json:"data,omitzero"`
}

type envelopeToken struct {
	Type        string `json:"type"`
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type,omitzero"`
	ExpiresIn   int64  `json:"expires_in"`
}

func envelopeLogin(c *call) (any, error) {
	g, err := c.password(token.PasswordGrant{Username: c.parameters["email"], NoRefresh: true})
	return success{true, &envelopeToken{"token", g.AccessToken, "", seconds(g.ExpiresIn)}}, err
}

func envelopeExchange(c *call) (any, error) {
	g, err := c.granted(c.endpoint.cfg.Engine.Exchange(c.r.Context(), token.Exchange{Request: c.request}))
	return success{true, &envelopeToken{"refresh_token", g.AccessToken, "Bearer", seconds(g.ExpiresIn)}}, err
}

func envelopeLogout(c *call) (any, error) {
	_, err := c.logout()
	return success{Success: true}, err
}

func envelopeClientCredentials(c *call) (any, error) {
	if err := c.wantGrant(token.GrantClientCredentials); err != nil {
		return nil, err
	}
	g, err := c.clientCredentials()
	return success{true, &envelopeToken{"token", g.AccessToken, "", seconds(g.ExpiresIn)}}, err
}
