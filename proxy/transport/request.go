package transport

import (
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"gatehouse/proxy/field"
)

// check returns what makes a request unfit to be written, but for its header: see
// [checkHeader].
func check(r *http.Request) error {
	switch {
	case r.URL == nil || r.URL.Host == "" || r.Header == nil:
		return errors.New("the request has no host or no header")
	case !Takes(r):
		return errors.New("the request is not plain HTTP")
	case r.Method != "" && !isToken(r.Method):
		return errors.New("the request's method is malformed")
	}
	return checkHeader(r.Trailer)
}

func checkHeader(h http.Header) error {
	for name, values := range h {
		if err := checkField(name, values); err != nil {
			return err
		}
	}
	return nil
}

// checkField returns what makes a field unfit. The codec would leave out or change
// what is not well formed; what was checked before must arrive as it was, or not at
// all.
func checkField(name string, values []string) error {
	if !isToken(name) {
		return fmt.Errorf("the name of the request's header %q is malformed", name)
	}
	for _, v := range values {
		if !field.IsValue(v) {
			return fmt.Errorf("the value of the request's header %q is malformed", name) // and can be secret
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
