package cli

import (
	"io"
	"slices"

	"github.com/spf13/cobra"
)

// shells are those that cobra can write a completion script for.
var shells = map[string]func(root *cobra.Command, w io.Writer) error{
	"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
	"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	"powershell": func(root *cobra.Command, w io.Writer) error { return root.GenPowerShellCompletionWithDesc(w) },
	"zsh":        func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
}

func (p *program) completion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "print the completion script of a shell",
		Example: "  source <(gatehouse completion bash)\n" +
			"  gatehouse completion zsh > ~/.zsh/completions/_gatehouse\n" +
			"  gatehouse completion fish > ~/.config/fish/completions/gatehouse.fish",
		Args:      oneArg("the shell"),
		ValidArgs: []cobra.Completion{"bash", "fish", "powershell", "zsh"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(cmd.ValidArgs, args[0]) {
				return usage("there is no script for %q: want bash, zsh, fish or powershell", args[0])
			}
			return shells[args[0]](cmd.Root(), p.Out)
		},
	}
}
