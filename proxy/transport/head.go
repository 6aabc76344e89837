package transport

import (
	"bufio"
	"net/http"
	"strings"
	"sync"
)

var (
	heads   = sync.Pool{New: func() any { return new([]byte) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriter(nil) }}
)

// ask writes a request without a body to a connection: by one call if nothing
// about it is unusual, else by the codec.
func ask(c *conn, r *http.Request) error {
	room := heads.Get().(*[]byte)
	defer heads.Put(room)
	head, ok := appendHead((*room)[:0], r)
	*room = head
	switch {
	case ok:
		return c.ask(head)
	case !c.quiet():
		return errStale
	}
	return encode(c, r)
}

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

// appendHead appends a request without a body as it goes out, in one pass. It
// is not ok when the request has anything about it that the codec should see
// to; then nothing was appended.
func appendHead(b []byte, r *http.Request) (head []byte, ok bool) {
	host, target := r.Host, r.URL.RequestURI()
	if host == "" {
		host = r.URL.Host
	}
	if r.Close || len(r.TransferEncoding) > 0 || r.ContentLength != 0 || r.Method == "" || r.Method == http.MethodConnect ||
		!isPlainHost(host) || !isVisible(target) {
		return b, false
	}
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
		b = append(append(append(b, "User-Agent: "...), strings.Trim(agents[0], " \t")...), "\r\n"...)
	}
	for name, values := range r.Header {
		if isFraming(name) {
			continue
		}
		for _, v := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, strings.Trim(v, " \t")...)
			b = append(b, "\r\n"...)
		}
	}
	return append(b, "\r\n"...), true
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
