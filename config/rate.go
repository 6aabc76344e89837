package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may happen, written 10/5m: ten times in five
// minutes. Its zero value, written 0 or off, is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// maxRate and maxRateWindow bound what a counter has to hold.
const (
	maxRate       = 1_000_000
	maxRateWindow = 24 * time.Hour
)

// String returns the rate as the file has it.
func (r Rate) String() string {
	if r == (Rate{}) {
		return "off"
	}
	return strconv.Itoa(r.N) + "/" + Duration(r.Per).String()
}

// UnmarshalText reads a rate; one that would let nothing through is refused.
func (r *Rate) UnmarshalText(text []byte) error {
	*r = Rate{}
	if s := string(text); s == "0" || s == "off" {
		return nil
	}
	digits, window, _ := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(digits)
	per, windowErr := time.ParseDuration(window)
	if err != nil || windowErr != nil || strconv.Itoa(n) != digits || n < 1 || n > maxRate || per < time.Second || per > maxRateWindow {
		return errors.New("is not a rate such as 10/5m or off")
	}
	*r = Rate{n, per}
	return nil
}
