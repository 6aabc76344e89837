package users

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTextBytes bounds an id or an e-mail address.
const maxTextBytes = 320 // RFC 5321 §4.5.3.1: 64, the sign, 255

// Record is one user as a source knows it.
type Record struct {
	ID           string // becomes `sub`
	Username     string // login name; only a File has it
	Email        string // empty: unknown. In a File a login name too
	PasswordHash string // see ParseHash; empty: no password is right
	Disabled     bool
	Claims       map[string]json.RawMessage // for access tokens; nil: none
}

// check refuses what a token could not carry.
func (r Record) check() error {
	if field, err := r.fault(); err != nil {
		return fmt.Errorf("the %s %w", field, err)
	}
	return nil
}

func (r Record) fault() (field string, err error) {
	switch {
	case r.ID == "":
		return "id", errors.New("is empty")
	case !fit(r.ID):
		return "id", errUnfit
	case !fit(r.Email):
		return "email", errUnfit
	}
	return "", nil
}

var errUnfit = fmt.Errorf("is not text of at most %d bytes", maxTextBytes)

func fit(s string) bool {
	return len(s) <= maxTextBytes && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
