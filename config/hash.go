package config

import (
	"encoding/hex"
	"errors"
)

// Hash is a SHA-256, written as 64 hex digits.
type Hash [32]byte

// String returns the hash in hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// UnmarshalText reads 64 hex digits of either case.
func (h *Hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) || len(text)%2 != 0 {
		return errors.New("is not 64 hex digits; gatehouse key hash prints them")
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return errors.New("is not 64 hex digits; gatehouse key hash prints them")
	}
	return nil
}
