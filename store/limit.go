package store

import (
	"context"
	"fmt"
	"time"

	"gatehouse/auth/token"
)

var _ token.Limiter = (*Store)(nil)

// Take counts an attempt against each limit, or against none: see
// [token.Limiter]. Windows are counted in milliseconds. One that was lost on the
// way and is repeated counts twice. The error carries ErrInvalid or
// ErrUnavailable.
func (s *Store) Take(ctx context.Context, limits []token.Limit) (wait time.Duration, err error) {
	if err := validateLimits(limits); err != nil || len(limits) == 0 {
		return 0, err
	}
	err = s.observed("login_take", func() (err error) {
		wait, err = s.backend.Take(ctx, limits)
		return err
	})
	return wait, err
}

// Return takes an attempt back in windows that are not over. No count falls
// below zero.
func (s *Store) Return(ctx context.Context, limits []token.Limit) error {
	if err := validateLimits(limits); err != nil || len(limits) == 0 {
		return err
	}
	return s.observed("login_return", func() error { return s.backend.Return(ctx, limits) })
}

func validateLimits(limits []token.Limit) error {
	seen := map[string]bool{}
	for _, l := range limits {
		switch {
		case l.Key == "" || len(l.Key) > maxNameBytes:
			return fmt.Errorf("%w: the key of a limit must have 1 to %d bytes", ErrInvalid, maxNameBytes)
		case seen[l.Key]:
			return fmt.Errorf("%w: two limits share the key %q", ErrInvalid, l.Key)
		case l.Max <= 0:
			return fmt.Errorf("%w: a limit must allow something; leave it out to have none", ErrInvalid)
		case l.Window < time.Millisecond || l.Window > maxTTL:
			return fmt.Errorf("%w: the window of a limit must have 1 ms to a hundred years", ErrInvalid)
		}
		seen[l.Key] = true
	}
	return nil
}
