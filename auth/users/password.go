package users

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// maxPasswordBytes bounds a password before anything is done with it.
const maxPasswordBytes = 1024

// prepare returns the one spelling of a password that is hashed, so that it does
// not depend on the keyboard: composed, every space an ordinary one (RFC 8265
// §4.2). The error says what no password may be.
func prepare(password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > maxPasswordBytes:
		return "", fmt.Errorf("the password has more than %d bytes", maxPasswordBytes)
	case !utf8.ValidString(password):
		return "", errors.New("the password is not UTF-8")
	}
	prepared, err := precis.OpaqueString.String(password)
	if err != nil {
		return "", errors.New("the password has a character that cannot be typed everywhere, such as a tab or a control character")
	}
	return prepared, nil
}
