package wire

import (
	"bytes"
	"strings"

	"gatehouse/proxy/field"
)

// head checks the head of one HTTP/1 request, line by line as the lines come.
// How the bytes were split in coming changes nothing of the result.
type head struct {
	max int // bytes

	size    int // bytes of finished lines, those that were cut out included
	pos     int // where the unfinished line begins
	scanned int // up to where there is no LF
	lines   int // finished ones
	blank   bool
	cut     bool // the line just finished is not to be handed out
	done    bool

	preface   bool // HTTP/2's will do in place of a head
	http2     bool // it is, or begins as, that preface
	http10    bool
	authority string // of an absolute-form target
	hosts     int
	expects   int
	lengths   int
	codings   int
	length    int64
}

// feed goes on with b, which is all that came of the head so far and maybe more,
// and returns it less the lines that net/http shall not see. When the head is
// done, it ends at pos.
func (h *head) feed(b []byte) ([]byte, *Fault) {
	for !h.done {
		if h.lines == 0 && len(b) > 0 && class[b[0]]&inToken == 0 && b[0] != '\r' {
			return b, malformed("the first byte cannot begin a request") // such as that of a TLS record
		}
		i := bytes.IndexByte(b[h.scanned:], '\n')
		if i < 0 {
			h.scanned = len(b)
			return b, h.tooLong(h.size + len(b) - h.pos)
		}
		end := h.scanned + i + 1
		h.size += end - h.pos
		if f := h.tooLong(h.size); f != nil {
			return b, f
		}
		if f := h.line(b[h.pos:end]); f != nil {
			return b, f
		}
		if h.cut {
			b = append(b[:h.pos], b[end:]...)
			end, h.cut = h.pos, false
		}
		h.pos, h.scanned = end, end
	}
	return b, nil
}

func (h *head) tooLong(size int) *Fault {
	switch {
	case size <= h.max:
		return nil
	case h.lines == 0:
		return targetTooLong("the request line is too long")
	}
	return headTooLarge("the header is too large")
}

func (h *head) line(line []byte) *Fault {
	n := len(line) - len("\r\n")
	if n < 0 || line[n] != '\r' {
		return malformed("a line of the head ends in a bare LF")
	}
	line = line[:n]
	if h.lines == 0 && n == 0 && !h.blank {
		h.blank, h.cut = true, true
		return nil
	}
	h.lines++
	switch {
	case h.lines == 1 && h.preface && !h.blank && string(line) == preface[0], h.http2:
		return h.prefaceLine(line)
	case h.lines == 1:
		return h.requestLine(line)
	case n == 0:
		h.done = true
		return h.finish()
	case h.lines > 1+maxHeaderLines:
		return headTooLarge("the header has too many lines")
	}
	return h.field(line)
}

// preface is what an HTTP/2 connection begins with (RFC 9113 §3.4), by lines.
var preface = [...]string{"PRI * HTTP/2.0", "", "SM", ""}

func (h *head) prefaceLine(line []byte) *Fault {
	if string(line) != preface[h.lines-1] {
		return malformed("the HTTP/2 preface is not whole")
	}
	h.http2, h.done = true, h.lines == len(preface)
	return nil
}

func (h *head) requestLine(line []byte) *Fault {
	method, rest, _ := bytes.Cut(line, []byte{' '})
	space := bytes.LastIndexByte(rest, ' ')
	if space < 0 {
		return malformed("the request line is not a method, a target and a version")
	}
	target, version := rest[:space], rest[space+1:]
	switch {
	case string(version) == "HTTP/1.1":
	case string(version) == "HTTP/1.0":
		h.http10 = true
	case len(version) == 8 && string(version[:5]) == "HTTP/" && class[version[5]]&class[version[7]]&isDigit != 0 && version[6] == '.':
		return versionNotSupported()
	default:
		return malformed("the request line has no version")
	}
	if f := checkMethod(method); f != nil {
		return f
	}
	if string(target) == "*" && string(method) == "OPTIONS" {
		return methodNotAllowed("OPTIONS *")
	}
	authority, path := splitTarget(target)
	h.authority = string(authority)
	return checkTarget(path)
}

func (h *head) field(line []byte) *Fault {
	colon := 0
	for colon < len(line) && class[line[colon]]&inName != 0 {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return badName(line)
	}
	name, value := line[:colon], line[colon+1:]
	if !field.IsValue(value) {
		return badHeaderValue(name)
	}
	return h.framing(name, value)
}

// badName says what is wrong with a line that does not begin with a name of ours and a colon.
func badName(line []byte) *Fault {
	name, _, found := bytes.Cut(line, []byte{':'})
	switch {
	case line[0] == ' ' || line[0] == '\t':
		return malformed("a header line begins with white space") // obs-fold, RFC 9112 §5.2
	case !found || !all(name, inToken):
		return malformed("a header line is not a name, a colon and a value")
	}
	return badHeaderName(string(name))
}

// framing looks at the fields that decide where a request ends and whom it is
// for. name and value are of valid bytes.
func (h *head) framing(name, value []byte) *Fault {
	switch len(name) {
	case len("host"):
		if named(name, "host") {
			return h.host(trim(value))
		}
	case len("expect"):
		if named(name, "expect") {
			h.expects++
			return checkExpect(string(trim(value)), h.expects)
		}
	case len("trailer"):
		h.cut = named(name, "trailer")
	case len("content-length"):
		if named(name, "content-length") {
			return h.contentLength(trim(value))
		}
	case len("transfer-encoding"):
		if named(name, "transfer-encoding") {
			return h.transferEncoding(value)
		}
	}
	return nil
}

func (h *head) host(host []byte) *Fault {
	h.hosts++
	switch {
	case h.hosts > 1:
		return malformed("more than one Host")
	case !validHost(host):
		return malformed("the Host is not a name or address")
	case h.authority != "" && !strings.EqualFold(h.authority, string(host)):
		return malformed("the target's authority is not the Host")
	}
	return nil
}

func (h *head) contentLength(digits []byte) *Fault {
	h.lengths++
	if h.lengths > 1 || len(digits) > 18 || !all(digits, isDigit) { // 19 digits can overflow
		return malformed("Content-Length is not one number")
	}
	for _, d := range digits {
		h.length = h.length*10 + int64(d-'0')
	}
	return nil
}

// transferEncoding takes `chunked` exactly: whoever overlooks a coding in
// another spelling sees another end of the request than we do.
func (h *head) transferEncoding(value []byte) *Fault {
	h.codings++
	coding := string(bytes.Trim(value, " "))
	switch {
	case h.codings == 1 && coding == "chunked":
		return nil
	case h.codings > 1 || coding == "" || strings.Contains(coding, "\t"):
		return malformed("Transfer-Encoding is malformed")
	}
	return notImplemented("a Transfer-Encoding other than chunked")
}

// finish checks what only the whole head shows.
func (h *head) finish() *Fault {
	switch {
	case h.hosts == 0 && (!h.http10 || h.authority != ""):
		return malformed("no Host")
	case h.codings > 0 && h.lengths > 0:
		return malformed("both Content-Length and Transfer-Encoding")
	case h.codings > 0 && h.http10:
		return malformed("Transfer-Encoding in HTTP/1.0")
	}
	return nil
}

// named compares a name of letters, digits and hyphens with one in lower case.
func named(name []byte, lower string) bool {
	for i := range len(lower) {
		if name[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// trim removes optional white space (RFC 9110 §5.6.3).
func trim(value []byte) []byte { return bytes.Trim(value, " \t") }
