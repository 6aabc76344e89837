package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxSecretBytes bounds a token or a key that is read: more than any that
// could be accepted.
const maxSecretBytes = 64 << 10

// readSecret reads a secret from a file, or from standard input for the name
// "-", less its trailing line end. From a terminal it is asked for by that
// prompt and not shown.
func (p *program) readSecret(file, prompt string) (string, error) {
	if in, ok := p.In.(*os.File); ok && file == "-" && term.IsTerminal(int(in.Fd())) {
		fmt.Fprint(p.Err, prompt+": ")
		text, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(p.Err)
		return secretText(text, err)
	}
	in := p.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	return secretText(io.ReadAll(io.LimitReader(in, maxSecretBytes+1)))
}

func secretText(text []byte, err error) (string, error) {
	s := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case s == "":
		return "", errors.New("nothing was given on standard input, or the file is empty")
	case len(text) > maxSecretBytes:
		return "", errors.New("more than 64 KiB were given: that is no token and no key")
	}
	return s, nil
}
