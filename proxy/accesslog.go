package proxy

import (
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"gatehouse/auth"
)

// AccessLog is where the access log's lines go. They are in the form of the
// slog handlers, but not made by them, which took a tenth of a request.
type AccessLog struct {
	Out  io.Writer // takes each line in one Write, which must not wait; nil: there is no such log
	Text bool      // key=value instead of JSON
}

// accessLine is one line as it is put together.
type accessLine struct {
	b    []byte
	text bool
}

var accessLines = sync.Pool{New: func() any { return &accessLine{b: make([]byte, 0, 1<<10)} }}

// logAccess writes the access log's line. Its keys and their order are the
// contract's.
func (x *Exchange) logAccess(log AccessLog, took time.Duration) {
	subject, tokenID := x.outcome.Subject, x.outcome.TokenID
	if t := x.decision.Principal.Token; t != nil {
		subject, tokenID = t.Subject(), t.ID()
	}
	l := accessLines.Get().(*accessLine)
	l.b, l.text = l.b[:0], log.Text
	l.begin(x.start.Add(took))
	l.string("request_id", x.id, len(x.id))
	l.string("method", x.in.Method, 32)
	l.string("host", x.in.Host, 256)
	l.string("path", x.loggedPath(), 2048)
	l.string("route", x.routeName(), 256)
	l.number("status", int64(x.status))
	l.number("bytes", x.bytes)
	l.milliseconds("duration_ms", took)
	l.milliseconds("upstream_ms", x.upstream)
	l.address("client_ip", x.client)
	l.string("api_key_id", x.decision.Principal.APIKeyID, 256)
	l.string("sub", subject, 256)
	l.string("jti", tokenID, 256)
	l.string("result", outcome(x.reason), 16)
	l.string("reason", x.reason.String(), 64)
	l.end()
	_, _ = log.Out.Write(l.b)
	accessLines.Put(l)
}

func (l *accessLine) begin(at time.Time) {
	if l.text {
		l.b = at.AppendFormat(append(l.b, "time="...), "2006-01-02T15:04:05.000Z07:00")
		l.b = append(l.b, " level=INFO msg=request"...)
		return
	}
	l.b = at.AppendFormat(append(l.b, `{"time":"`...), time.RFC3339Nano)
	l.b = append(l.b, `","level":"INFO","msg":"request"`...)
}

func (l *accessLine) end() {
	if !l.text {
		l.b = append(l.b, '}')
	}
	l.b = append(l.b, '\n')
}

func (l *accessLine) key(key string) {
	if l.text {
		l.b = append(append(append(l.b, ' '), key...), '=')
		return
	}
	l.b = append(append(append(l.b, `,"`...), key...), `":`...)
}

// string appends a text, at most so many bytes of it.
func (l *accessLine) string(key, s string, limit int) {
	l.key(key)
	if !l.text && len(s) <= limit && isVerbatim(s) {
		l.b = append(append(append(l.b, '"'), s...), '"')
		return
	}
	switch s = loggable(s, limit); {
	case !l.text:
		l.b, _ = jsontext.AppendQuote(l.b, s) // it is UTF-8 by now
	case s == "" || strings.ContainsFunc(s, needsQuotes):
		l.b = strconv.AppendQuote(l.b, s)
	default:
		l.b = append(l.b, s...)
	}
}

// isVerbatim reports whether a text is its own JSON string, as nearly all are.
func isVerbatim(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// needsQuotes is the rule of slog.TextHandler.
func needsQuotes(r rune) bool {
	return r == ' ' || r == '"' || r == '=' || r == utf8.RuneError || !unicode.IsPrint(r)
}

func (l *accessLine) number(key string, n int64) {
	l.key(key)
	l.b = strconv.AppendInt(l.b, n, 10)
}

// address appends one, or an empty text for none.
func (l *accessLine) address(key string, a netip.Addr) {
	l.key(key)
	switch {
	case !a.IsValid():
		l.b = append(l.b, `""`...)
	case l.text:
		l.b = a.AppendTo(l.b)
	default:
		l.b = append(a.AppendTo(append(l.b, '"')), '"')
	}
}

// milliseconds are rounded to the microsecond.
func (l *accessLine) milliseconds(key string, d time.Duration) {
	l.key(key)
	l.b = strconv.AppendFloat(l.b, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// loggedPath is the canonical path, or the client's where it has none.
func (x *Exchange) loggedPath() string {
	if x.path.escaped != "" {
		return x.path.escaped
	}
	return x.in.URL.EscapedPath()
}

// outcome is what a request came to, as metrics have it too.
func outcome(r auth.Reason) string {
	switch {
	case r == auth.OK:
		return "allowed"
	case r == auth.ClientClosed || r.Status() >= http.StatusInternalServerError:
		return "error"
	}
	return "denied"
}

// loggable cuts a text to so many bytes and replaces control characters, which
// JSON strings are escaped of in part only: those of C1 can drive a terminal.
func loggable(s string, limit int) string {
	s = s[:min(len(s), limit)]
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] >= 0x7f {
			// Map makes one of each byte that is no UTF-8.
			return strings.Map(func(r rune) rune {
				if r < ' ' || r >= 0x7f && r < 0xa0 {
					return '\ufffd'
				}
				return r
			}, s)
		}
	}
	return s
}
