package admin

import (
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"

	"gatehouse/auth"
)

// problem is an error as the API answers it (RFC 9457). Unlike the data
// plane's it may carry a detail: who reads it holds the admin token.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// The problems that have no auth.Reason.
var (
	errNotFound    = namedProblem(http.StatusNotFound, "not_found", "There is nothing at this address", "")
	errTokenWrong  = namedProblem(http.StatusUnauthorized, "admin_token_invalid", "The admin token is missing or wrong", "")
	errCrossOrigin = namedProblem(http.StatusForbidden, "cross_origin", "The request comes from another site's page", "")
	errHostUnknown = namedProblem(http.StatusForbidden, "host_forbidden", "The admin listener is not known by this name", "call it by its IP address, or write its name as the host of admin.listen")
	errKeyUnknown  = namedProblem(http.StatusNotFound, "key_not_found", "No API key has this id", "")
	errKeyRevoked  = namedProblem(http.StatusConflict, "key_revoked", "The id of the API key has been revoked", "choose another id")
	errKeyInConfig = namedProblem(http.StatusConflict, "key_configured", "The API key stands in the configuration", "remove it there, or revoke its id: POST /v1/revocations")
)

func namedProblem(status int, code, title, detail string) *problem {
	return &problem{Type: "urn:gatehouse:problem:" + code, Title: title, Status: status, Code: code, Detail: detail}
}

// newProblem is the problem of a reason, with what its reader can do about it.
func newProblem(reason auth.Reason, detail string) *problem {
	return namedProblem(reason.Status(), reason.String(), reason.Title(), detail)
}

func malformed(format string, args ...any) *problem {
	return newProblem(auth.RequestMalformed, fmt.Sprintf(format, args...))
}

func (p *problem) Error() string { return p.Code + ": " + p.Detail }

func (p *problem) write(w http.ResponseWriter) {
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse admin"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1") // seconds
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.MarshalWrite(w, p) // fails only when the client has gone
}
