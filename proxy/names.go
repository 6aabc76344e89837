package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// treatment says what becomes of a header with a certain name.
type treatment uint8

const (
	// dropFromRequest: never forwarded as the client sent it.
	dropFromRequest treatment = 1 << iota
	// dropUnlessTrusted: forwarded when it comes from a trusted proxy.
	dropUnlessTrusted
	// dropUnlessKept: the Authorization header.
	dropUnlessKept
	// dropFromResponse: never forwarded as the upstream sent it.
	dropFromResponse
)

// names holds the treatment of header names, by their letters and digits in
// lower case: many servers tell X-User-Id, X--User-Id and X_User_Id not apart,
// so neither do we.
type names struct {
	table map[string]treatment
	// lengths has, by first character, a bit for each length that a name in
	// the table has: enough to pass nearly every header by without a look-up.
	lengths [256]uint64
}

// maxName bounds the letters and digits of the names in the table. A longer
// name cannot be one of them.
const maxName = 63

// treated are names with one treatment.
type treated struct {
	treatment treatment
	names     []string
}

// fixedNames are treated alike in every configuration.
var fixedNames = []treated{
	{dropUnlessKept | dropFromResponse, []string{"Authorization"}},
	{dropFromRequest | dropFromResponse, []string{"X-Request-Id"}},
	// Hop by hop (RFC 9110 §7.6.1): ours to say to the upstream. Expect was
	// answered here.
	{dropFromRequest, []string{
		"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
		"Proxy-Authenticate", "Proxy-Authorization", "Expect",
	}},
	// Set anew from what we know.
	{dropFromRequest, []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}},
	// What upstreams and frameworks take for the client's address, the original
	// target or the method.
	{dropUnlessTrusted, []string{
		"Forwarded", "X-Real-Ip", "X-Original-Url", "X-Original-Uri", "X-Original-Host", "X-Original-Method", "X-Rewrite-Url",
		"X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
	}},
}

// trustedPrefixes are beginnings of further names that only a trusted proxy may
// send. `Proxy:` becomes the variable HTTP_PROXY in CGI programs.
var trustedPrefixes = [][]byte{[]byte("xforwarded"), []byte("proxy")}

// newNames returns the table for a configuration with these managed headers.
func newNames(managed []string) (*names, error) {
	n := &names{table: make(map[string]treatment)}
	for _, t := range append(slices.Clone(fixedNames), treated{dropFromRequest | dropFromResponse, managed}) {
		for _, name := range t.names {
			var buf [maxName]byte
			form, ok := fold(&buf, name)
			if !ok || len(form) == 0 {
				return nil, fmt.Errorf("header %q: a name of ours has 1 to %d letters and digits", name, maxName)
			}
			n.table[string(form)] |= t.treatment
			n.lengths[form[0]] |= 1 << len(form)
		}
	}
	return n, nil
}

// of returns the treatment of a header name, 0 when nothing is to be done.
func (n *names) of(name string) treatment {
	var buf [maxName]byte
	form, ok := fold(&buf, name)
	if ok && len(form) > 0 && n.lengths[form[0]]>>len(form)&1 != 0 {
		if t := n.table[string(form)]; t != 0 {
			return t
		}
	}
	for _, prefix := range trustedPrefixes {
		if bytes.HasPrefix(form, prefix) {
			return dropUnlessTrusted
		}
	}
	return 0
}

// folded is the form of each letter and digit in the table, 0 of the rest.
var folded = func() (t [256]byte) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	return t
}()

// fold writes the letters and digits of a name to buf, in lower case. It is
// not ok when there are more than fit.
func fold(buf *[maxName]byte, name string) (form []byte, ok bool) {
	n := 0
	for i := 0; i < len(name); i++ {
		c := folded[name[i]]
		if c == 0 {
			continue
		}
		if n == len(buf) {
			return buf[:n], false
		}
		buf[n] = c
		n++
	}
	return buf[:n], true
}

// scrub removes from an upstream's header or trailer what only we may say.
func (n *names) scrub(h map[string][]string) {
	for name := range h {
		if n.of(strings.TrimPrefix(name, "Trailer:"))&dropFromResponse != 0 {
			delete(h, name)
		}
	}
}
