package endpoint

import (
	"bytes"
	"errors"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth"
)

// withoutLastComma takes out the comma behind the last member of an object,
// which the guide of the one API that takes JSON for a form has in its example.
func withoutLastComma(text []byte) []byte {
	const space = " \t\r\n"
	inner, ok := bytes.CutSuffix(bytes.TrimRight(text, space), []byte("}"))
	inner = bytes.TrimRight(inner, space)
	if !ok || !bytes.HasSuffix(inner, []byte(",")) {
		return text
	}
	return append(inner[:len(inner)-1:len(inner)-1], '}')
}

// parseJSON reads one object of strings with no other members than these. One
// that stands twice, and anything after the object, is refused. Errors show no
// value: it may be a password.
func parseJSON(text []byte, names []string) (parameters, error) {
	if jsontext.Value(text).Kind() != '{' {
		return nil, refusal(auth.RequestMalformed, "the body is no JSON object")
	}
	var p parameters
	if err := json.Unmarshal(text, &p); err != nil {
		var syntax *jsontext.SyntacticError
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
			return nil, refusal(auth.RequestMalformed, "the body has a member twice: %.64s", syntax.JSONPointer)
		case errors.As(err, &syntax):
			return nil, refusal(auth.RequestMalformed, "the body is not JSON, at byte %d", syntax.ByteOffset)
		}
		return nil, refusal(auth.RequestMalformed, "the body has a member that is no string")
	}
	for name := range p {
		if !slices.Contains(names, name) {
			return nil, refusal(auth.RequestMalformed, "the body has an unknown member: %.64s", name)
		}
	}
	return p, nil
}
