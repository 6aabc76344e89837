package endpoint

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth/token"
)

// jsonAPI speaks JSON:API documents. Clients are known by their API key.
var jsonAPI = dialect{
	operations: func(cfg Config) []operation {
		return []operation{
			{path: cfg.below("/oauth/token"), name: "password", methods: post, body: body{json: true, required: []string{"username", "password"}}, serve: jsonAPILogin},
			{path: cfg.below("/oauth/token/refresh"), name: "refresh_token", methods: post, body: body{json: true, required: []string{"refresh_token"}}, serve: jsonAPIRefresh},
			{path: cfg.below("/oauth/token/revoke"), name: "logout", methods: getOrPost, serve: jsonAPIRevoke},
			{path: cfg.below("/oauth/token/info"), name: "info", methods: get, serve: jsonAPIInfo},
		}
	},
	refuse: func(f failure) any {
		return jsonAPIErrors{[]jsonAPIError{{strconv.Itoa(f.status), f.reason.String(), f.reason.Title()}}}
	},
}

type jsonAPIErrors struct {
	Errors []jsonAPIError `json:"errors"`
}

type jsonAPIError struct {
	Status string `json:"status"`
	Code   string `json:"code"`
	Title  string `json:"title"`
}

type jsonAPIDocument struct {
	Data jsonAPIResource `json:"data"`
}

type jsonAPIResource struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Attributes any    `json:"attributes"`
}

// jsonAPISession is what a login and a refresh answer. What is not known of the
// user is null.
type jsonAPISession struct {
	AccessToken  string  `json:"accessToken"`
	RefreshToken string  `json:"refreshToken,omitzero"`
	Email        *string `json:"email"`
	FirstName    *string `json:"firstName"`
	LastName     *string `json:"lastName"`
}

func jsonAPILogin(c *call) (any, error) {
	g, err := c.password(token.PasswordGrant{Username: c.parameters["username"]})
	return session(g), err
}

func jsonAPIRefresh(c *call) (any, error) {
	g, err := c.refresh(c.parameters["refresh_token"], nil)
	return session(g), err
}

func session(g token.Grant) jsonAPIDocument {
	email := &g.User.Email
	if *email == "" {
		email = claim(g.User, "email")
	}
	return jsonAPIDocument{jsonAPIResource{g.Subject, "session", jsonAPISession{
		g.AccessToken, g.RefreshToken, email, claim(g.User, "firstName", "given_name"), claim(g.User, "lastName", "family_name"),
	}}}
}

// claim is the first of a user's claims with these names that is a string, nil
// when there is none.
func claim(u token.User, names ...string) *string {
	for _, name := range names {
		var s *string
		if json.Unmarshal(u.Claims[name], &s) == nil && s != nil {
			return s
		}
	}
	return nil
}

func jsonAPIRevoke(c *call) (any, error) {
	_, err := c.logout()
	return map[string]any{"meta": map[string]bool{"revoked": true}}, err
}

func jsonAPIInfo(c *call) (any, error) {
	t, err := c.presented(c.endpoint.cfg.Engine.Info(c.r.Context(), token.Info{Request: c.request}))
	if err != nil {
		return nil, err
	}
	return jsonAPIDocument{jsonAPIResource{t.ID(), "token", jsontext.Value(t.Claims().JSON())}}, nil
}
