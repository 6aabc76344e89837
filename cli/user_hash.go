package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gatehouse/auth/users"
)

func (p *program) userHash() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "print the hash line of a password",
		Long: "hash asks for a password twice, without showing it, or reads it from standard input, as one line. It\n" +
			"prints the line with the password's argon2id hash for a user of the users file (token_service.users).\n" +
			"One password has another hash each time.",
		Example: "  gatehouse user hash                    # asks for it\n" +
			"  gatehouse user hash < password.txt",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("a password on the command line is seen by others: leave it out, and it is asked for")
			}
			return nil
		},
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		password, err := p.readPassword()
		if err != nil {
			return err
		}
		hash, err := users.Hash(password)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Out, "password_hash: %q\n", hash)
		fmt.Fprintln(p.Err, "put the line under the user in the users file, beside id and username or email")
		return nil
	}
	return cmd
}

// readPassword reads a password, from a terminal twice: nobody sees what is
// typed.
func (p *program) readPassword() (string, error) {
	password, err := p.readSecret("-", "Password")
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(password, "\r\n") {
		return "", errors.New("more than one line was given on standard input")
	}
	if in, ok := p.In.(*os.File); !ok || !term.IsTerminal(int(in.Fd())) {
		return password, nil
	}
	again, err := p.readSecret("-", "The same again")
	if err != nil {
		return "", err
	}
	if again != password {
		return "", errors.New("the two passwords differ: try again")
	}
	return password, nil
}
