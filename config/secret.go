package config

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a string that shows itself to nobody who does not call Reveal:
// every way to print, log or encode it gives "[redacted]", or nothing when it
// is empty.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns the redacted form.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString returns the redacted form.
func (s Secret) GoString() string { return s.String() }

// Format writes the redacted form, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns the redacted form.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns the redacted form; encoding/json and YAML call it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
