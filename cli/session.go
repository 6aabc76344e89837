package cli

import "github.com/spf13/cobra"

func (p *program) session() *cobra.Command {
	return group(&cobra.Command{
		Use:   "session",
		Short: "list and end the sessions of a subject",
		Example: "  gatehouse session list alice\n" +
			"  gatehouse session revoke mC0xq1…\n" +
			"  gatehouse session revoke --subject alice",
	}, p.sessionList(), p.sessionRevoke())
}

// oneOf returns what was given as an argument or as a flag.
func oneOf(args []string, flag, want string) (string, error) {
	switch {
	case len(args) == 1 && flag == "" && args[0] != "":
		return args[0], nil
	case len(args) == 0 && flag != "":
		return flag, nil
	}
	return "", usage("%s", want)
}
