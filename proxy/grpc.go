package proxy

import (
	"net/http"
	"strconv"
	"strings"
)

// grpcCodes are the gRPC status codes of our answers, by their HTTP status:
// https://github.com/grpc/grpc/blob/master/doc/statuscodes.md. Where gRPC
// clients make a code of an HTTP status themselves (http-grpc-status-mapping.md
// in the same place) ours is the same, or says more.
var grpcCodes = map[int]int{
	http.StatusBadRequest:                  3,  // INVALID_ARGUMENT
	http.StatusUnauthorized:                16, // UNAUTHENTICATED
	http.StatusForbidden:                   7,  // PERMISSION_DENIED
	http.StatusNotFound:                    12, // UNIMPLEMENTED, as a server says of a method that it does not have
	http.StatusMethodNotAllowed:            12,
	http.StatusRequestTimeout:              4, // DEADLINE_EXCEEDED
	http.StatusRequestEntityTooLarge:       8, // RESOURCE_EXHAUSTED
	http.StatusRequestURITooLong:           3,
	http.StatusTooManyRequests:             8,
	http.StatusRequestHeaderFieldsTooLarge: 8,
	499:                                    1,  // CANCELLED
	http.StatusInternalServerError:         13, // INTERNAL
	http.StatusNotImplemented:              12,
	http.StatusBadGateway:                  14, // UNAVAILABLE
	http.StatusServiceUnavailable:          14,
	http.StatusGatewayTimeout:              4,
	http.StatusHTTPVersionNotSupported:     12,
}

// isGRPC reports whether a request is a gRPC call. gRPC-Web is not: its clients
// read HTTP statuses.
func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.Method == http.MethodPost && speaksGRPC(r.Header)
}

// speaksGRPC reports whether a request or an answer is of gRPC's content type.
func speaksGRPC(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 {
		return false
	}
	rest, ok := strings.CutPrefix(strings.ToLower(types[0]), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// setGRPCStatus says in the words of gRPC what has become of a call. The prefix
// is empty, or the one that makes a trailer of a header. No title has a
// character that gRPC would want percent-encoded.
func (x *Exchange) setGRPCStatus(prefix string, status int) {
	h := x.Header()
	h[prefix+"Grpc-Status"] = []string{strconv.Itoa(grpcCodes[status])}
	h[prefix+"Grpc-Message"] = []string{x.reason.String() + ": " + x.reason.Title()}
}

// answerGRPC answers a call with nothing but a status. The log and the metrics
// have the HTTP status that it stands for.
func (x *Exchange) answerGRPC(status int) {
	x.Header()["Content-Type"] = []string{"application/grpc"}
	x.setGRPCStatus("", status)
	x.status = status
	x.writer.WriteHeader(http.StatusOK)
}

// endGRPC ends a call whose answer had begun and cannot go on with a status of
// ours, which is never that of success. It reports false when the call is to be
// reset, as where the answer is no gRPC: half a page must not look whole to
// whoever reads no trailers.
func (x *Exchange) endGRPC() bool {
	if !isGRPC(x.in) || !speaksGRPC(x.Header()) || x.Header()["Content-Length"] != nil {
		return false
	}
	x.setGRPCStatus(http.TrailerPrefix, x.reason.Status())
	return true
}
