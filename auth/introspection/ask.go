package introspection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/auth"
	"gatehouse/auth/outbound"
)

// maxAnswerBytes bounds what an issuer answers, decompressed.
const maxAnswerBytes = 64 << 10

// ask makes one call. An error says, for people, why there is no answer; it has
// neither the token nor our secret in it.
func (c *Client) ask(ctx context.Context, token string) (*auth.Introspected, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, strings.NewReader(form))
	if err != nil {
		return nil, cause(err)
	}
	// RFC 6749 §2.3.1: encoded as a form first, so that an id may have a colon.
	r.SetBasicAuth(url.QueryEscape(c.cfg.ClientID), url.QueryEscape(c.cfg.ClientSecret))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "gatehouse")
	// Not sent: it has net/http try again where the issuer has closed a connection
	// that was idle, since asking twice does no harm.
	r.Header["Idempotency-Key"] = nil
	answer, err := c.client.Do(r)
	if err != nil {
		return nil, cause(err)
	}
	defer answer.Body.Close()
	if err := usable(answer); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(text) > maxAnswerBytes:
		return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswerBytes)
	}
	return auth.ParseIntrospected(text)
}

// usable tells what is wrong with the head of an answer.
func usable(answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: the issuer refuses us: look whether client_id and client_secret are those of a client that may introspect", outbound.StatusError(answer.StatusCode))
	default:
		return outbound.StatusError(answer.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the answer's Content-Type is not application/json (RFC 7662 §2.2)")
	}
	return nil
}

// cause is what went wrong without the URL, which stands beside it in the log.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
