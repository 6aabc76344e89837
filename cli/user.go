package cli

import "github.com/spf13/cobra"

func (p *program) user() *cobra.Command {
	return group(&cobra.Command{
		Use:     "user",
		Short:   "hash passwords for the users file",
		Example: "  gatehouse user hash",
	}, p.userHash())
}
