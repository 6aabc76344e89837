package wire

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/auth"
)

// Fault says what is wrong with a request before anything else is asked of it.
type Fault struct {
	Reason auth.Reason
	Status int    // the answer's; not always the reason's own: 501, 505, 414 and 431 occur
	Detail string // for the log only; names what is at fault, never holds a header's value
}

// Error makes a fault found in a body the error of the handler's read of it.
func (f *Fault) Error() string { return f.Detail }

func malformed(detail string) *Fault {
	return &Fault{auth.RequestMalformed, http.StatusBadRequest, detail}
}

func notImplemented(detail string) *Fault {
	return &Fault{auth.RequestMalformed, http.StatusNotImplemented, detail}
}

func versionNotSupported() *Fault {
	return &Fault{auth.RequestMalformed, http.StatusHTTPVersionNotSupported, "neither HTTP/1.1 nor HTTP/1.0"}
}

func targetTooLong(detail string) *Fault {
	return &Fault{auth.RequestMalformed, http.StatusRequestURITooLong, detail}
}

func headTooLarge(detail string) *Fault {
	return &Fault{auth.RequestTooLarge, http.StatusRequestHeaderFieldsTooLarge, detail}
}

// badHeaderName quotes the name, without which nobody finds the sender; a name is no secret.
func badHeaderName(name string) *Fault {
	return malformed(fmt.Sprintf("header name %.64q has characters other than letters, digits and hyphens", name))
}

func badHeaderValue(name []byte) *Fault {
	return malformed(fmt.Sprintf("the value of header %.64q has a control character", name))
}

// checkExpect refuses what net/http would answer itself. RFC 9110 §10.1.1
// leaves 417 to the server; we say 400, as for all that nobody here can meet.
func checkExpect(value string, lines int) *Fault {
	if lines > 1 || !strings.EqualFold(value, "100-continue") {
		return malformed("Expect is not 100-continue")
	}
	return nil
}

func methodNotAllowed(detail string) *Fault {
	return &Fault{auth.MethodNotAllowed, http.StatusMethodNotAllowed, detail}
}

func headTimeout() *Fault {
	return &Fault{auth.RequestTimeout, http.StatusRequestTimeout, "the request's head was not complete in time"}
}
