package config

import (
	"net/http"
	"slices"
	"strings"
)

// reservedHeaders steer the connection, the framing or the request itself, or are
// set by gatehouse from other sources. Identity in one of them would break
// requests or be overwritten.
var reservedHeaders = []string{
	"Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie",
	"Date", "Expect", "Forwarded", "Host", "Http2-Settings", "Keep-Alive", "Origin", "Range", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Via", "X-Http-Method-Override", "X-Original-Url", "X-Real-Ip", "X-Request-Id",
	"X-Rewrite-Url",
}

// headerBytes is how long a managed name can be, hyphens not counted.
const headerBytes = 63

// header checks the name of a header that gatehouse manages, and reports whether
// it is fit to be one.
func (v *validator) header(path, name string) bool {
	odd := func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case name == "":
		v.fault(path, "is empty: name the header")
	case strings.Contains(name, "_"):
		v.fault(path, "has an underscore, which many servers read as a hyphen, so that clients could forge the header: use hyphens")
	case strings.ContainsFunc(name, odd) || fold(name) == "":
		v.fault(path, "is not a header name of letters, digits and hyphens")
	case len(fold(name)) > headerBytes:
		v.fault(path, "has more than %d letters and digits", headerBytes)
	case slices.Contains(reservedHeaders, canonical) || strings.HasPrefix(canonical, "Proxy-") ||
		strings.HasPrefix(canonical, "X-Forwarded-") || strings.HasPrefix(canonical, "Sec-"):
		v.fault(path, "is a header with a meaning of its own: choose another name")
	default:
		return true
	}
	return false
}

// fold returns what is left of a header name for a server that is careless about
// punctuation and case. Two names that fold alike are one to such a server (H05
// of the threat list).
func fold(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, "-", ""))
}
