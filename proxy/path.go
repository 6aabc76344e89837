package proxy

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// canonical is the one form of a request's path. It is computed once, matched
// and forwarded: two readers of one path must not come to two results.
//
// Unreserved characters are decoded, other escapes kept with their hex digits
// in upper case, and what may not stand in a path is encoded (RFC 3986 §6.2.2).
type canonical struct {
	escaped string // begins with a slash
	decoded string
}

// The two tables of RFC 3986 §2.3 and §3.3.
var (
	unreserved = table("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
	pchar      = table("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@")
)

func table(chars string) (t [256]bool) {
	for i := range len(chars) {
		t[chars[i]] = true
	}
	return t
}

// canonicalPath returns the canonical path of a request's URL. A path that two
// servers could read in two ways has none; fault says why, for the log.
func canonicalPath(u *url.URL) (p canonical, fault string) {
	// Without a RawPath the path is as Go would encode it, which EscapedPath
	// returns. With one EscapedPath may return another path than the client's.
	raw := u.RawPath
	if raw == "" {
		raw = u.EscapedPath()
	}
	switch {
	case u.Opaque != "":
		return p, "target without a path"
	case raw == "": // http://host, without even a slash (RFC 9110 §4.2.3)
		raw = "/"
	case raw[0] != '/':
		return p, "path without a leading slash"
	}
	if isPlain(raw) {
		return canonical{raw, raw}, ""
	}
	escaped, fault := recode(raw)
	if fault == "" {
		fault = ambiguity(escaped)
	}
	if fault != "" {
		return p, fault
	}
	if !utf8.ValidString(u.Path) {
		return p, "not UTF-8"
	}
	return canonical{escaped, u.Path}, "" // recode changes how a path is written, not what it decodes to
}

// isPlain reports whether a path is canonical already and without escapes: so
// are nearly all, and they cost one pass and no allocation.
func isPlain(p string) bool {
	for i := 0; i < len(p); i++ {
		if p[i] == '/' {
			if i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.' || p[i+1] == ';') {
				return false
			}
		} else if !pchar[p[i]] {
			return false
		}
	}
	return true
}

const upperHex = "0123456789ABCDEF"

// recode normalises the escapes.
func recode(raw string) (escaped, fault string) {
	var b strings.Builder // handed out as it is: a path of many KiB is not copied again
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		isEscape := c == '%'
		if isEscape {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return "", "malformed escape"
			}
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		}
		switch {
		case c == '\\':
			return "", "backslash"
		case c < ' ' || c == 0x7f:
			return "", "control character"
		case isEscape && c == '/':
			return "", "encoded slash"
		case !isEscape && c >= utf8.RuneSelf:
			return "", "raw byte outside ASCII"
		case unreserved[c], !isEscape && (pchar[c] || c == '/'):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&0xf])
		}
	}
	return b.String(), ""
}

// ambiguity tells what a next reader could take for another path.
func ambiguity(escaped string) string {
	for rest := escaped; ; {
		_, after, found := strings.Cut(rest, "%25")
		if !found {
			break
		}
		if len(after) >= 2 && isHex(after[0]) && isHex(after[1]) {
			return "double encoding"
		}
		rest = after
	}
	for rest := escaped[1:]; ; {
		segment, after, more := strings.Cut(rest, "/")
		if segment == "" && more {
			return "empty segment"
		}
		// Some servers drop what follows a semicolon before they look at dots
		// and slashes: /..;x/ is /../ to them, and /;x/ is //.
		name, _, parameters := strings.Cut(strings.Replace(segment, "%3B", ";", 1), ";")
		if name == "." || name == ".." {
			return "dot segment"
		}
		if name == "" && parameters && more {
			return "empty segment"
		}
		if !more {
			return ""
		}
		rest = after
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
