package auth

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Format says how a claim is written into a header.
type Format uint8

// The formats.
const (
	FormatText Format = iota // a string, number or boolean as it is
	FormatCSV                // an array's elements joined by commas
	FormatJSON               // any value as compact ASCII JSON

	formatCount
)

var formats = [formatCount]string{FormatText: "text", FormatCSV: "csv", FormatJSON: "json"}

// ParseFormat returns the format with that name, text for the empty name; ok
// is false when there is none.
func ParseFormat(name string) (f Format, ok bool) {
	if name == "" {
		return FormatText, true
	}
	for f, n := range formats {
		if n == name {
			return Format(f), true
		}
	}
	return FormatText, false
}

// String returns the format's name, as the config has it.
func (f Format) String() string { return formats[f] }

// ClaimHeader sends one claim upstream.
type ClaimHeader struct {
	Claim  string // a path, see Claims.Lookup; empty: the issuer's subject claim
	Header string // canonical
	Format Format
}

// Forward is what a route tells its upstream about who is calling.
type Forward struct {
	Claims            []ClaimHeader
	APIKeyHeader      string // canonical; empty: the API key's id is not sent
	CertificateHeader string // canonical; empty: the subject of the client's certificate is not sent
}

// HeaderValue is a header for the upstream. A slice of Value is what a header map
// takes.
type HeaderValue struct {
	Name  string // canonical
	Value [1]string
}

// What the headers of one request may hold, in bytes: servers refuse requests
// with large headers, and the user, who chose the claim's content, would get an
// answer that explains nothing.
const (
	maxHeaderValue  = 1 << 10
	maxHeaderValues = 8 << 10
)

// path is the claim that is sent, of an issuer's token.
func (h ClaimHeader) path(i *Issuer) string { return cmp.Or(h.Claim, i.SubjectClaim) }

// render writes the claims as headers: a list with a text for each, empty where
// nothing is sent, because the claim is absent, null or empty text. One that cannot
// be sent without changing its meaning is returned as failed, counted from 1: sending
// less, or something else, could make the caller someone else.
func (f *Forward) render(c Claims, i *Issuer) (values string, failed uint32) {
	all := make([]string, len(f.Claims))
	total := 0
	for n, h := range f.Claims {
		v := c.Lookup(h.path(i))
		if v == nil || string(v) == `""` {
			continue
		}
		s, ok := h.Format.write(v)
		total += len(s)
		if !ok || len(s) > maxHeaderValue || total > maxHeaderValues {
			return "", uint32(n + 1)
		}
		all[n] = s
	}
	return appendTexts("", all), 0
}

func (f Format) write(v jsontext.Value) (string, bool) {
	switch f {
	case FormatCSV:
		return writeCSV(v)
	case FormatJSON:
		return writeJSON(v)
	default:
		s, ok := text(v)
		if !ok {
			return "", false
		}
		return encodeHeader(s)
	}
}

func writeCSV(v jsontext.Value) (string, bool) {
	all, ok := texts(v)
	if !ok {
		return "", false
	}
	for i, s := range all {
		if all[i], ok = encodeHeader(s); !ok || s == "" || strings.IndexByte(s, ',') >= 0 {
			return "", false
		}
	}
	return strings.Join(all, ","), true
}

// writeJSON compacts the value and escapes what is not ASCII as \uXXXX.
func writeJSON(v jsontext.Value) (string, bool) {
	c := v.Clone()
	if err := c.Compact(); err != nil {
		return "", false
	}
	var b strings.Builder
	for _, r := range string(c) {
		switch {
		case r < 0x80 && r != 0x7f:
			b.WriteByte(byte(r))
		case r < 0x10000:
			writeEscape(&b, r)
		default: // a surrogate pair (RFC 8259 §7)
			r -= 0x10000
			writeEscape(&b, 0xd800+r>>10)
			writeEscape(&b, 0xdc00+r&0x3ff)
		}
	}
	return b.String(), true
}

const hexDigits = "0123456789ABCDEF"

func writeEscape(b *strings.Builder, r rune) {
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[r>>shift&0xf])
	}
}

// encodeHeader makes text fit for a header field (RFC 9110 §5.5): bytes outside
// ASCII, and the percent sign itself, are percent-encoded as UTF-8, so that
// decoding is always possible and plain values stay as they are. It refuses
// control characters, which could end the field, and spaces at the edges, which
// the wire would take away.
func encodeHeader(s string) (string, bool) {
	if s != strings.Trim(s, " ") {
		return "", false
	}
	escape := 0
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b < ' ' || b == 0x7f:
			return "", false
		case b >= 0x80 || b == '%':
			escape++
		}
	}
	if escape == 0 {
		return s, true
	}
	var out bytes.Buffer
	out.Grow(len(s) + 2*escape)
	for i := 0; i < len(s); i++ {
		if b := s[i]; b >= 0x80 || b == '%' {
			out.WriteByte('%')
			out.WriteByte(hexDigits[b>>4])
			out.WriteByte(hexDigits[b&0xf])
		} else {
			out.WriteByte(b)
		}
	}
	return out.String(), true
}
