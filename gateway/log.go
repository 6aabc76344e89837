package gateway

import (
	"io"
	"log/slog"

	"gatehouse/config"
)

// NewLog returns a logger as the configuration has it, and its level, which a
// reload may set.
func NewLog(cfg config.Log, w io.Writer) (*slog.Logger, *slog.LevelVar) {
	v := new(slog.LevelVar)
	v.Set(level(cfg.Level))
	options := &slog.HandlerOptions{Level: v}
	if cfg.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options)), v
	}
	return slog.New(slog.NewJSONHandler(w, options)), v
}

func level(name string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo // the configuration allows no other names
	}
	return l
}
