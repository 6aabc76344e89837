package endpoint

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/token"
)

// refusal is the error for a reason, with what the client's author can do.
func refusal(reason auth.Reason, format string, args ...any) error {
	return &token.Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// failure is a refusal as a dialect puts it into words.
type failure struct {
	reason    auth.Reason
	status    int
	detail    string // what is wrong with the request's form; empty: the reason says all
	requestID string
}

// text is all that is to be said, for dialects that have one place for it.
func (f failure) text() string {
	if f.detail == "" {
		return f.reason.Title()
	}
	return f.reason.Title() + ": " + f.detail
}

// refuse says why there is no other answer, and returns the body.
func (c *call) refuse(err error) []byte {
	var e *token.Error
	if !errors.As(err, &e) {
		e = &token.Error{Reason: auth.Undecided, Err: err}
	}
	d := c.endpoint.dialect
	c.status = cmp.Or(c.status, d.statuses[e.Reason], e.Reason.Status())
	c.outcome.Reason, c.outcome.Detail = e.Reason, e.Detail
	if e.Err != nil {
		c.outcome.Detail = strings.TrimPrefix(e.Detail+": "+e.Err.Error(), ": ")
	}
	f := failure{reason: e.Reason, status: c.status, requestID: c.caller.RequestID}
	// Why credentials are refused, and what is wrong here, is for the log.
	if s := e.Reason.Status(); s < http.StatusInternalServerError && s != http.StatusUnauthorized {
		f.detail = e.Detail
	}
	h := c.w.Header()
	h.Set("Content-Type", cmp.Or(d.mediaType, mediaJSON))
	switch c.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", c.challenge(e.Reason))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		wait := (e.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(max(int64(wait), 1), 10))
	}
	text, _ := encode(d.refuse(f)) // strings and numbers: cannot fail
	return text
}

// challenge is what an answer 401 asks for (RFC 9110 §11.6.1).
func (c *call) challenge(reason auth.Reason) string {
	switch challenge := reason.Challenge(); {
	case challenge == auth.ChallengeAPIKey:
		return fmt.Sprintf("ApiKey header=%q", c.endpoint.cfg.APIKeyHeader)
	case challenge == auth.InvalidToken:
		return fmt.Sprintf(`Bearer error="%s", error_description="%s"`, challenge, reason.Title())
	case challenge == auth.ChallengeBasic && c.client != noClient:
		return `Basic realm="gatehouse"`
	}
	return "Bearer"
}
