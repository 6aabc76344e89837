package endpoint

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/auth"
)

// parseForm reads a form (RFC 6749 §B). A parameter that stands twice is
// refused (§3.1), and text that is not UTF-8.
func parseForm(text string) (parameters, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, refusal(auth.RequestMalformed, "the body is no form")
	}
	p := make(parameters, len(values))
	for name, all := range values {
		switch {
		case len(all) > 1:
			return nil, refusal(auth.RequestMalformed, "the parameter %.64s stands twice", name)
		case !utf8.ValidString(name) || !utf8.ValidString(all[0]):
			return nil, refusal(auth.RequestMalformed, "the body is not UTF-8")
		}
		p[name] = all[0]
	}
	return p, nil
}

// ours are the parameters of all dialects, in lower case.
var ours = []string{
	"access_token", "apikey", "client_id", "client_secret", "clientsecret", "email", "grant_type", "password",
	"refresh-token", "refresh_token", "scope", "token", "token_type_hint", "username",
}

// checkQuery refuses parameters that belong into the body: addresses are logged
// everywhere (RFC 6749 §2.3.1). Others mean nothing.
func checkQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return refusal(auth.RequestMalformed, "the query is malformed")
	}
	for name := range values {
		if slices.Contains(ours, strings.ToLower(name)) {
			return refusal(auth.RequestMalformed, "%s must not be in the query: it belongs into the body", name)
		}
	}
	return nil
}
