package wire

import (
	"net/netip"
	"strings"
)

// Bounds that are not configurable. MaxHeaderBytes of the [Config] is another.
const (
	maxHeaderLines = 100
	maxMethodBytes = 32
	maxTargetBytes = 16 << 10
	maxQueryBytes  = 8 << 10
)

// What a byte may be part of.
const (
	inToken  uint8 = 1 << iota // RFC 9110 §5.6.2
	inName                     // a header name, as far as we let them through
	inValue                    // a header value: no controls but HTAB
	inTarget                   // a request target: visible ASCII but '#'
	inMethod
	inHost // a registered name or an IPv4 address; '_' is common in container networks
	isHex
	isDigit
)

var class = func() (table [256]uint8) {
	const upper, lower, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
	for _, row := range []struct {
		bit   uint8
		chars string
	}{
		{inToken, upper + lower + digits + "!#$%&'*+-.^_`|~"},
		{inName, upper + lower + digits + "-"},
		{inMethod, upper + "-"},
		{inHost, upper + lower + digits + "-._"},
		{isHex, digits + "ABCDEFabcdef"},
		{isDigit, digits},
	} {
		for i := range len(row.chars) {
			table[row.chars[i]] |= row.bit
		}
	}
	for b := range table {
		if b == '\t' || b >= ' ' && b != 0x7f {
			table[b] |= inValue
		}
		if b > ' ' && b < 0x7f && b != '#' {
			table[b] |= inTarget
		}
	}
	return table
}()

// text is a part of a request: bytes of an HTTP/1 head, a string of a parsed
// request.
type text interface{ ~string | ~[]byte }

// all reports whether s is one or more bytes of the class.
func all[T text](s T, bit uint8) bool {
	for i := range len(s) {
		if class[s[i]]&bit == 0 {
			return false
		}
	}
	return len(s) > 0
}

// checkMethod refuses what is no method, and what no route can be asked with.
func checkMethod[T text](method T) *Fault {
	switch {
	case !all(method, inToken):
		return malformed("the method is not a token")
	case len(method) > maxMethodBytes || !all(method, inMethod) || string(method) == "CONNECT":
		return methodNotAllowed("CONNECT, or not a method in upper case")
	}
	return nil
}

// checkTarget checks path and query. The escapes of the path must be well
// formed, or net/http refuses it in its own words.
func checkTarget[T text](target T) *Fault {
	if len(target) == 0 || target[0] != '/' {
		return malformed("the target does not begin with a slash")
	}
	i := 0
	for ; i < len(target) && target[i] != '?'; i++ {
		switch {
		case class[target[i]]&inTarget == 0:
			return malformed("the target holds a byte that must be escaped")
		case target[i] == '%' && (i+2 >= len(target) || class[target[i+1]]&class[target[i+2]]&isHex == 0):
			return malformed("the path holds a malformed escape")
		}
	}
	for j := i; j < len(target); j++ {
		if class[target[j]]&inTarget == 0 {
			return malformed("the query holds a byte that must be escaped")
		}
	}
	switch {
	case len(target) > maxTargetBytes:
		return targetTooLong("the target is too long")
	case len(target)-i-1 > maxQueryBytes:
		return targetTooLong("the query is too long")
	}
	return nil
}

// splitTarget takes the authority from an absolute-form target
// (RFC 9112 §3.2.2); it is empty for any other form.
func splitTarget[T text](target T) (authority, path T) {
	const plain, secure = len("http://"), len("https://")
	from := 0
	switch {
	case len(target) > plain && strings.EqualFold(string(target[:plain]), "http://"):
		from = plain
	case len(target) > secure && strings.EqualFold(string(target[:secure]), "https://"):
		from = secure
	default:
		return authority, target
	}
	to := from
	for to < len(target) && target[to] != '/' {
		to++
	}
	if to == from {
		return authority, target // checkTarget refuses it
	}
	return target[from:to], target[to:]
}

// validHost reports whether host is a name or an address, and perhaps a port.
func validHost[T text](host T) bool {
	end := len(host)
	for end > 0 && class[host[end-1]]&isDigit != 0 {
		end--
	}
	switch {
	case end > 0 && host[end-1] == ':':
		if digits := len(host) - end; digits == 0 || digits > len("65535") {
			return false
		}
		end--
	default:
		end = len(host)
	}
	if end > 2 && host[0] == '[' && host[end-1] == ']' {
		ip, err := netip.ParseAddr(string(host[1 : end-1]))
		return err == nil && ip.Is6() && ip.Zone() == ""
	}
	for i := 1; i < end; i++ {
		if host[i-1] == '.' && host[i] == '.' { // no name has an empty part, and nginx refuses it
			return false
		}
	}
	return all(host[:end], inHost)
}
