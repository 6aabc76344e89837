package transport

import (
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"
)

// check returns what makes a request unfit to be written. The codec would leave
// out or change what is not well formed; what was checked before must arrive as
// it was, or not at all.
func check(r *http.Request) error {
	switch {
	case r.URL == nil || r.URL.Host == "" || r.Header == nil:
		return errors.New("the request has no host or no header")
	case !Takes(r):
		return errors.New("the request is not plain HTTP")
	case r.Method != "" && !isToken(r.Method):
		return errors.New("the request's method is malformed")
	}
	for _, h := range [2]http.Header{r.Header, r.Trailer} {
		for name, values := range h {
			if !isToken(name) {
				return fmt.Errorf("the name of the request's header %q is malformed", name)
			}
			for _, v := range values {
				if !isFieldValue(v) {
					return fmt.Errorf("the value of the request's header %q is malformed", name) // and can be secret
				}
			}
		}
	}
	return nil
}

// tokenChars are those of RFC 9110 §5.6.2.
var tokenChars = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = true
	}
	return t
}()

func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !tokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}

// isFieldValue reports whether a value can stand in a header (RFC 9110 §5.5). It
// looks at eight bytes at a time, and at each one from where there may be one
// that cannot.
func isFieldValue(s string) bool {
	const each = 0x0101010101010101
	for ; len(s) >= 8; s = s[8:] {
		v := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		del := v ^ 0x7f*each
		// A byte's top bit is set where it is below the space, or is DEL.
		if ((v-' '*each)&^v|(del-each)&^del)&(0x80*each) != 0 {
			break
		}
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// repeatable reports whether a request may be sent twice (RFC 9110 §9.2.2), by
// its method or because the client says so, as http.Transport has it.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return r.Header["Idempotency-Key"] != nil || r.Header["X-Idempotency-Key"] != nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}
