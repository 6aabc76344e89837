package admin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth"
)

// maxBodyBytes bounds the body of a request.
const maxBodyBytes = 16 << 10

// readBody decodes the JSON body into v, whatever its Content-Type says: the
// token, which no web page has, is what protects against forged requests.
// Unknown and repeated names, names in
// another case and anything after the object are refused. Errors name the
// place and never show a value: it may be a credential.
func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBodyBytes), v, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var tooLarge *http.MaxBytesError
	var semantic *json.SemanticError
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &tooLarge):
		return newProblem(auth.RequestTooLarge, "the body may have 16 KiB")
	case errors.Is(err, json.ErrUnknownName):
		return malformed("the body has an unknown member: %s", pointer(err))
	case errors.Is(err, jsontext.ErrDuplicateName):
		return malformed("the body has a member twice: %s", pointer(err))
	case errors.As(err, &semantic):
		return malformed("the body has a value of the wrong kind at %s", pointer(err))
	case errors.As(err, &syntax):
		return malformed("the body is not JSON, at byte %d", syntax.ByteOffset)
	}
	return malformed("the body cannot be read")
}

// pointer is where in the body the error is, as a JSON Pointer (RFC 6901).
func pointer(err error) string {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		return string(semantic.JSONPointer)
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return string(syntax.JSONPointer)
	}
	return ""
}

// writeJSON answers with that status and body. A name that is not UTF-8, which
// this API would not have taken, is shown with replacement characters.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	var text strings.Builder
	if err := json.MarshalWrite(&text, body, json.Deterministic(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text.String() + "\n")) // fails only when the client has gone
	return nil
}
