package transport

import (
	"bufio"
	"net/http"
	"net/textproto"
	"sync"
)

var (
	heads   = sync.Pool{New: func() any { return new([]byte) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}
)

// encode writes a request by the codec.
func encode(c *conn, r *http.Request) error {
	w := writers.Get().(*bufio.Writer)
	defer writers.Put(w)
	w.Reset(c)
	defer w.Reset(nil)
	if err := r.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

// appendRequest appends a request as it goes out, in one pass. Nothing is appended
// when it has a body, or anything else that the codec should see to. It fails when
// the request is not fit to be written by either.
func appendRequest(b []byte, r *http.Request) ([]byte, error) {
	if err := check(r); err != nil {
		return b, err
	}
	host, target := r.Host, r.URL.RequestURI()
	if host == "" {
		host = r.URL.Host
	}
	if r.Body != nil && r.Body != http.NoBody || r.Close || len(r.TransferEncoding) > 0 || r.ContentLength != 0 ||
		r.Method == "" || r.Method == http.MethodConnect || !isPlainHost(host) || !isVisible(target) {
		return b, checkHeader(r.Header)
	}
	before := len(b)
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch: // many servers want to be told
		b = append(b, "Content-Length: 0\r\n"...)
	}
	if agents, ok := r.Header["User-Agent"]; !ok {
		b = append(b, "User-Agent: Go-http-client/1.1\r\n"...)
	} else if len(agents) > 0 && agents[0] != "" {
		b = append(append(append(b, "User-Agent: "...), textproto.TrimString(agents[0])...), "\r\n"...)
	}
	for name, values := range r.Header {
		if err := checkField(name, values); err != nil {
			return b[:before], err
		}
		if isFraming(name) {
			continue
		}
		for _, v := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, textproto.TrimString(v)...)
			b = append(b, "\r\n"...)
		}
	}
	return append(b, "\r\n"...), nil
}

// isFraming reports whether a header is the message's own, or written before.
func isFraming(name string) bool {
	switch name {
	case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// isVisible reports whether a request target has no white space or control
// character, at which a server could see its end.
func isVisible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isPlainHost reports whether a host is made of letters, digits and -._: only,
// of which the codec changes nothing.
func isPlainHost(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == ':':
		default:
			return false
		}
	}
	return s != ""
}
