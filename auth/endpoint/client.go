package endpoint

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// clientAuth is how the request names its client: by Basic or in the body (RFC
// 6749 §2.3.1), not both. One that names none is known by its API key.
func (c *call) clientAuth() (token.ClientAuth, error) {
	a := token.ClientAuth{Optional: c.client == optionalClient}
	if c.client != noClient {
		id, secret, err := parseBasic(c.r.Header["Authorization"])
		inBody, secretInBody := c.parameters["client_id"], c.parameters["client_secret"]
		switch {
		case err != nil:
			return a, err
		case secretInBody != "" && inBody == "":
			return a, refusal(auth.RequestMalformed, "client_id is missing")
		case id != "" && (secretInBody != "" || inBody != "" && inBody != id):
			return a, refusal(auth.RequestMalformed, "the client authenticates twice: by Basic and in the body")
		}
		a.ID, a.Secret = cmp.Or(id, inBody), secret+secretInBody // one of them is empty
	}
	if a.ID == "" && c.endpoint.cfg.APIKeyHeader != "" {
		return token.ClientAuth{ID: c.caller.Decision.Principal.APIKeyID, APIKey: true}, nil
	}
	if a.ID == "" && c.client == namedClient {
		return a, refusal(auth.ClientInvalid, "")
	}
	return a, nil
}

// parseBasic reads an Authorization header of the scheme Basic: both halves are
// encoded as in a form. Another scheme says nothing about the client; what is
// sent for a client without name or secret is as good as nothing.
func parseBasic(lines []string) (id, secret string, err error) {
	if len(lines) > 1 {
		return "", "", refusal(auth.RequestMalformed, "more than one Authorization header")
	}
	const scheme = "basic "
	if len(lines) == 0 || len(lines[0]) < len(scheme) || !strings.EqualFold(lines[0][:len(scheme)], scheme) {
		return "", "", nil
	}
	invalid := refusal(auth.ClientInvalid, "")
	pair, err := base64.StdEncoding.DecodeString(strings.TrimLeft(lines[0][len(scheme):], " "))
	if err != nil {
		return "", "", invalid
	}
	first, second, ok := strings.Cut(string(pair), ":")
	id, errID := url.QueryUnescape(first)
	secret, errSecret := url.QueryUnescape(second)
	if !ok || errID != nil || errSecret != nil || !utf8.ValidString(id+secret) || id == "" && secret != "" {
		return "", "", invalid
	}
	return id, secret, nil
}
