package config

import (
	"errors"
	"strings"
	"time"
)

// Duration is a span of time, written as Go does: 1h30m, 30s, 200ms. There is
// no unit above the hour, because a day is not always 24 of them.
type Duration time.Duration

// Std returns the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the duration as the file has it, without zero tails: 12h
// rather than 12h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// UnmarshalText reads a duration; negative ones are refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return errors.New("is not a duration such as 30s, 200ms or 1h30m")
	}
	*d = Duration(v)
	return nil
}
