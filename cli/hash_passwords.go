package cli

import (
	"os"

	"github.com/spf13/cobra"

	"gatehouse/auth/users"
)

const hashVerb = "hash-passwords"

// hashPasswords is for the gateway alone, which runs it beside itself.
func (p *program) hashPasswords() *cobra.Command {
	return &cobra.Command{
		Use:     hashVerb,
		Short:   "compare passwords with hashes, for a gateway that runs it beside itself",
		Example: "  echo '{\"hash\": \"$argon2id$…\", \"password\": \"…\"}' | gatehouse hash-passwords",
		Hidden:  true,
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return users.ServeHashes(p.In, p.Out) },
	}
}

// hashCommand is the command line of that verb; nil where the program does not
// know where it is.
func hashCommand() []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{self, hashVerb}
}
