package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/auth"
)

func (p *program) keyHash() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "print the hash line of a key that you have already",
		Long: "hash reads an API key from standard input and prints its line for api_keys.keys of the config. Keys are\n" +
			"hashed once and fast, so they must be random: what a person has made up is refused.",
		Example: "  gatehouse key hash --id web-app < key.txt\n  gatehouse key hash --id web-app   # asks for it",
		Args:    noArgs,
	}
	id := cmd.Flags().String("id", "web-app", "id for the line")
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := checkKeyID(*id); err != nil {
			return err
		}
		key, err := p.readSecret("-", "API key")
		if err != nil {
			return err
		}
		if err := strong(key); err != nil {
			return err
		}
		fmt.Fprintln(p.Out, configLine(auth.APIKey{ID: *id, SHA256: sha256.Sum256([]byte(key))}))
		return nil
	}
	return cmd
}

const (
	minKeyChars = 22  // of base64url, for 128 bits
	minKeyBits  = 128 // docs/threats.md K02
)

// strong refuses keys that could be guessed from their hash. The estimate
// knows what a key is spelled with, not whether it is random: it catches
// words, short keys and repetition, and errs on the side of a new key.
func strong(key string) error {
	const instead = ": make one with gatehouse key new"
	odd := strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
	switch {
	case odd:
		return errors.New("the key has a space, or a character outside ASCII, that clients could not send alike" + instead)
	case auth.MistypedAPIKey(key):
		return errors.New("the key is like one that gatehouse makes, with a character wrong or missing: copy it again")
	case len(key) < minKeyChars:
		return fmt.Errorf("the key has %d characters: it needs at least %d random ones%s", len(key), minKeyChars, instead)
	case bits(key) < minKeyBits:
		return fmt.Errorf("the key can be guessed: it has about %d bits, and needs %d%s", int(bits(key)), minKeyBits, instead)
	}
	return nil
}

// bits estimates how many bits a random key with this spelling has.
func bits(key string) float64 {
	var digits, hex, lower, upper int
	pairs := map[string]bool{}
	for i := range len(key) {
		switch c := key[i]; {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c >= 'a' && c <= 'f':
			lower++
			hex++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= 'A' && c <= 'F':
			upper++
			hex++
		case c >= 'A' && c <= 'Z':
			upper++
		}
		pairs[key[i:min(i+2, len(key))]] = true
	}
	letters := lower + upper
	switch {
	case 2*len(pairs) < len(key): // repeats itself
		return float64(len(pairs))
	case letters == 0:
		return 3.3 * float64(digits)
	case digits == 0: // words
		return 2 * float64(letters)
	case hex == digits+letters && (lower == 0 || upper == 0):
		return 4 * float64(hex)
	case lower == 0 || upper == 0:
		return 5 * float64(digits+letters)
	}
	return 5.9 * float64(len(key))
}
