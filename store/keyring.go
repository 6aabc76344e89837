package store

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// ErrConflict means that the key ring has another version than the one that was
// to be replaced: it must be read again.
var ErrConflict = errors.New("the key ring was changed in between")

// keyrings is what a backend does for Keyring and PutKeyring.
type keyrings interface {
	keyring(ctx context.Context, issuer string) (data []byte, version uint64, err error)
	putKeyring(ctx context.Context, issuer string, data []byte, version uint64) error
}

// Keyring returns what was put last for the issuer, and its version; nil and 0
// when there is none. The error carries ErrInvalid or ErrUnavailable.
func (s *Store) Keyring(ctx context.Context, issuer string) (data []byte, version uint64, err error) {
	if err := validateRing(issuer); err != nil {
		return nil, 0, err
	}
	err = s.observed("keyring", func() (err error) {
		data, version, err = s.backend.keyring(ctx, issuer)
		return err
	})
	return data, version, err
}

// PutKeyring replaces a version of the issuer's key ring, 0 being none, by the
// next. The error carries ErrConflict, ErrInvalid or ErrUnavailable. After the
// last it is safe to repeat, with the same data.
func (s *Store) PutKeyring(ctx context.Context, issuer string, data []byte, version uint64) error {
	if err := validateRing(issuer); err != nil {
		return err
	}
	if len(data) == 0 || len(data) > maxRecordBytes {
		return fmt.Errorf("%w: a key ring must have 1 to %d bytes", ErrInvalid, maxRecordBytes)
	}
	if version == math.MaxUint64 {
		return fmt.Errorf("%w: there is no version after this one", ErrInvalid)
	}
	return s.observed("keyring_put", func() error { return s.backend.putKeyring(ctx, issuer, data, version) })
}

func validateRing(issuer string) error {
	if issuer == "" || len(issuer) > maxNameBytes {
		return fmt.Errorf("%w: a key ring needs the name of its issuer, of 1 to %d bytes", ErrInvalid, maxNameBytes)
	}
	return nil
}

// errRing must not be taken for no ring: another would be made in its place.
var errRing = fmt.Errorf("%w: it holds a key ring that cannot be read", ErrUnavailable)
