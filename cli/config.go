package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

func (p *program) config() *cobra.Command {
	return group(&cobra.Command{
		Use:     "config",
		Short:   "show the effective config, or the format's JSON Schema",
		Example: "  gatehouse config print --config gateway.yaml\n  gatehouse config schema > gateway.schema.json",
	}, p.configPrint(), p.configSchema())
}

func (p *program) configPrint() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "print",
		Short:   "print the config as it takes effect, secrets redacted",
		Long:    "print shows the config with its references expanded, environment variables applied and defaults\nfilled in. Secrets are redacted.",
		Example: "  gatehouse config print\n  GATEHOUSE_SERVER_LISTEN=:8443 gatehouse config print --config gateway.yaml",
		Args:    noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := p.load(*file)
		if err != nil {
			return err
		}
		text, err := cfg.YAML()
		if err != nil {
			return err
		}
		_, err = p.Out.Write(text)
		return err
	}
	return cmd
}

func (p *program) configSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of gateway.yaml, for editors",
		Example: "  gatehouse config schema > gateway.schema.json\n" +
			"  # first line of gateway.yaml, for editors that use the YAML language server:\n" +
			"  # yaml-language-server: $schema=gateway.schema.json",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := config.Schema()
			if err != nil {
				return err
			}
			fmt.Fprintln(p.Out, string(text))
			return nil
		},
	}
}
