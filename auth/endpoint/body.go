package endpoint

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// body says what the body of a request has to be. The zero value is none at
// all: what is sent is not looked at.
type body struct {
	form, json bool     // it may be one; where both, a JSON object may also call itself a form
	required   []string // parameters that must be there and not empty
	optional   []string // further ones of JSON, which may have no other; forms may
}

// parameters are those of a body, by name. One that was sent empty counts as
// not sent (RFC 6749 §3.1).
type parameters map[string]string

// require refuses a request that lacks one of the parameters.
func (p parameters) require(names ...string) error {
	for _, name := range names {
		if p[name] == "" {
			return refusal(auth.RequestMalformed, "%s is missing", name)
		}
	}
	return nil
}

// scopes are those that are asked for (RFC 6749 §3.3), nil when there are none.
func (p parameters) scopes() []string {
	if p["scope"] == "" {
		return nil
	}
	return strings.Fields(p["scope"])
}

const (
	mediaForm = "application/x-www-form-urlencoded"
	mediaJSON = "application/json"
)

// read returns the parameters of the request's body.
func (c *call) read(b body) (p parameters, err error) {
	if !b.form && !b.json {
		return nil, nil
	}
	lines := c.r.Header["Content-Type"]
	media, _, _ := mime.ParseMediaType(strings.Join(lines, ", ")) // of two lines neither is the type
	asForm, asJSON := b.form && media == mediaForm, b.json && media == mediaJSON
	if !asForm && !asJSON {
		c.status = http.StatusUnsupportedMediaType
		return nil, refusal(auth.RequestMalformed, "the Content-Type must be %s", b.mediaTypes())
	}
	text, err := c.readAll()
	if err != nil {
		return nil, err
	}
	if asJSON || b.json && strings.HasPrefix(strings.TrimLeft(string(text), " \t\r\n"), "{") {
		if b.form {
			text = withoutLastComma(text)
		}
		p, err = parseJSON(text, append(b.optional[:len(b.optional):len(b.optional)], b.required...))
	} else {
		p, err = parseForm(string(text))
	}
	if err != nil {
		return nil, err
	}
	return p, p.require(b.required...)
}

func (b body) mediaTypes() string {
	switch {
	case !b.json:
		return mediaForm
	case !b.form:
		return mediaJSON
	}
	return mediaForm + " or " + mediaJSON
}

// readAll reads a body that is not too large. What the data plane found wrong
// with it comes with its reason.
func (c *call) readAll() ([]byte, error) {
	tooLarge := refusal(auth.RequestTooLarge, "the body may have %d KiB", MaxBodyBytes>>10)
	if c.r.ContentLength > MaxBodyBytes {
		return nil, tooLarge
	}
	text, err := io.ReadAll(io.LimitReader(c.r.Body, MaxBodyBytes+1))
	if err != nil {
		reason := auth.RequestMalformed
		errors.As(err, &reason)
		return nil, &token.Error{Reason: reason, Err: fmt.Errorf("reading the body: %w", err)}
	}
	if len(text) > MaxBodyBytes {
		return nil, tooLarge
	}
	return text, nil
}
