package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/auth"
)

// logAccess writes the access log's line. Its keys and their order are the
// contract's.
func (x *Exchange) logAccess(ctx context.Context, log *slog.Logger, took time.Duration) {
	client, subject, tokenID := "", x.outcome.Subject, x.outcome.TokenID
	if x.client.IsValid() {
		client = x.client.String()
	}
	if t := x.decision.Principal.Token; t != nil {
		subject, tokenID = t.Subject(), t.ID()
	}
	log.LogAttrs(ctx, slog.LevelInfo, "request",
		slog.String("request_id", x.id),
		slog.String("method", loggable(x.in.Method, 32)),
		slog.String("host", loggable(x.in.Host, 256)),
		slog.String("path", loggable(x.loggedPath(), 2048)),
		slog.String("route", x.routeName()),
		slog.Int("status", x.status),
		slog.Int64("bytes", x.bytes),
		slog.Float64("duration_ms", milliseconds(took)),
		slog.Float64("upstream_ms", milliseconds(x.upstream)),
		slog.String("client_ip", client),
		slog.String("api_key_id", loggable(x.decision.Principal.APIKeyID, 256)),
		slog.String("sub", loggable(subject, 256)),
		slog.String("jti", loggable(tokenID, 256)),
		slog.String("result", outcome(x.reason)),
		slog.String("reason", x.reason.String()),
	)
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

// milliseconds are rounded to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// loggable cuts a text to so many bytes and replaces control characters, which
// the JSON encoder escapes in part only: those of C1 can drive a terminal.
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
