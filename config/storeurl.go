package config

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// StoreURL is the store's address. It may contain a password, so that every way
// to print, log or encode it leaves the credentials out.
type StoreURL string

// Reveal returns the URL with its password.
func (u StoreURL) Reveal() string { return string(u) }

// String returns the URL without its credentials. It cuts at the last @ of all,
// and does not parse: a password with a slash in it would fool a parser, and
// net/url refuses addresses with several hosts.
func (u StoreURL) String() string {
	scheme, rest, ok := strings.Cut(string(u), "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return string(u)
	}
	return scheme + "://" + redacted + rest[at:]
}

// GoString returns the redacted form.
func (u StoreURL) GoString() string { return u.String() }

// Format writes the redacted form, whatever the verb.
func (u StoreURL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue returns the redacted form.
func (u StoreURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText returns the redacted form.
func (u StoreURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
