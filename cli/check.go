package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
)

func (p *program) check() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "find everything that is wrong with a config",
		Long: "check loads a config with all that it names (keys, certificates, patterns) as serve would, and opens\n" +
			"no listener and no store. Problems go to standard error, one a line: file:line:column: key: what is wrong.",
		Example: "  gatehouse check\n  gatehouse check --config /etc/gatehouse/gateway.yaml",
		Args:    noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := p.load(*file)
		var problems config.Problems
		if cfg == nil || err != nil && !errors.As(err, &problems) {
			return err
		}
		warnings, err := gateway.Check(cfg, problems)
		for _, w := range warnings {
			fmt.Fprintln(p.Err, "warning:", w)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(p.Out, "%s: valid\n%s; store %s\n", *file, strings.Join([]string{
			count(len(cfg.Routes), "route"), count(len(cfg.Issuers), "issuer"), count(len(cfg.APIKeys.Keys), "API key"),
		}, ", "), cfg.Store.URL)
		return nil
	}
	return cmd
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
