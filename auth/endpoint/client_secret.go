package endpoint

import "gatehouse/auth/token"

// clientSecret gives a client a token that it can verify with its own secret.
// The API has no form of its own for errors: they are those of the data plane.
var clientSecret = dialect{
	operations: func(cfg Config) []operation {
		return []operation{
			{path: cfg.below("/authenticate"), name: "client_secret", methods: post, body: body{json: true, required: []string{"apiKey", "clientSecret"}}, serve: authenticate},
		}
	},
	refuse: func(f failure) any {
		return problem{"urn:gatehouse:problem:" + f.reason.String(), f.reason.Title(), f.status, f.reason.String(), f.requestID}
	},
	mediaType: "application/problem+json",
}

// problem is an error as RFC 9457 has it.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
}

// authentication is what the client gets.
type authentication struct {
	Token     string `json:"token"`
	TokenType string `json:"token_type"`
	ExpiresIn int64  `json:"expires_in"`
}

// authenticate answers the token in the header too, where clients of this API
// look for a new one after each request.
func authenticate(c *call) (any, error) {
	g, err := c.granted(c.endpoint.cfg.Engine.ClientSecret(c.r.Context(), token.ClientSecretGrant{
		Request: c.request, APIKey: c.parameters["apiKey"], Secret: c.parameters["clientSecret"],
	}))
	if err != nil {
		return nil, err
	}
	h := c.w.Header()
	h.Set("Authorization", "Bearer "+g.AccessToken)
	h.Set("Access-Control-Expose-Headers", "Authorization")
	return authentication{g.AccessToken, "Bearer", seconds(g.ExpiresIn)}, nil
}
