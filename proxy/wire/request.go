package wire

import (
	"net/http"
	"strings"
)

// CheckRequest returns what is wrong with a server's request before its body is
// read, nil when nothing is. An HTTP/1 request of our [Listener] was checked as
// it came; any other, such as one of HTTP/2, is checked here as far as net/http
// left something to see.
func CheckRequest(r *http.Request) *Fault {
	if _, ok := r.Context().Value(connKey{}).(*Conn); ok && r.ProtoMajor != 2 {
		return FaultOf(r.Context())
	}
	if r.ProtoMajor != 1 && r.ProtoMajor != 2 {
		return versionNotSupported()
	}
	if f := checkMethod(r.Method); f != nil {
		return f
	}
	if r.RequestURI == "*" && r.Method == http.MethodOptions {
		return methodNotAllowed("OPTIONS *")
	}
	target := r.RequestURI // in HTTP/2 the path alone (RFC 9113 §8.3.1)
	if r.ProtoMajor == 1 {
		_, target = splitTarget(target) // net/http made the authority, if there is one, r.Host
	}
	if f := checkTarget(target); f != nil {
		return f
	}
	if !validHost(r.Host) && (r.Host != "" || r.ProtoAtLeast(1, 1)) {
		return malformed("the Host is not a name or address")
	}
	return checkHeader(r)
}

func checkHeader(r *http.Request) *Fault {
	lines := 0
	for name, values := range r.Header {
		lines += len(values)
		if !all(name, inName) {
			return badHeaderName(name)
		}
	}
	if lines > maxHeaderLines {
		return headTooLarge("the header has too many lines")
	}
	for _, host := range r.Header["Host"] { // HTTP/2 lets it stand beside :authority
		if !strings.EqualFold(host, r.Host) {
			return malformed("the Host is not the authority")
		}
	}
	if expect := r.Header["Expect"]; len(expect) > 0 {
		return checkExpect(expect[0], len(expect))
	}
	return nil
}
