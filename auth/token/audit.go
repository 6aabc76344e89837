package token

import (
	"context"
	"log/slog"
)

// audit writes a line about a session, or about an attempt to begin one.
func (e *Engine) audit(ctx context.Context, level slog.Level, what string, r Request, about ...slog.Attr) {
	address := ""
	if r.Caller.Address.IsValid() {
		address = r.Caller.Address.String()
	}
	e.cfg.Log.LogAttrs(ctx, level, what, append(about,
		slog.String("address", address), slog.String("request_id", r.Caller.RequestID))...)
}

// of says which session an audit line is about.
func of(sid, subject, client string) []slog.Attr {
	return []slog.Attr{slog.String("sid", sid), slog.String("sub", subject), slog.String("client_id", client)}
}
