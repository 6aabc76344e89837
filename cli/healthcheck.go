package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"gatehouse/admin"
	"gatehouse/config"
)

func (p *program) healthcheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "exit 0 when the running gateway is ready, 1 when not",
		Long: "healthcheck asks /readyz of the running gateway, for containers without curl. Its address is admin.listen\n" +
			"of the config. A config that is wrong by now does not make the gateway unhealthy, which goes on with the\n" +
			"one before.",
		Example: "  gatehouse healthcheck\n" +
			"  gatehouse healthcheck --admin 127.0.0.1:9090\n" +
			"  # Dockerfile: HEALTHCHECK CMD [\"/gatehouse\", \"healthcheck\"]",
		Args: noArgs,
	}
	file := configFlag(cmd)
	address := cmd.Flags().String("admin", "", "address of the admin listener, host:port; then no config is read")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runHealthcheck(cmd.Context(), *file, *address) }
	return cmd
}

func (p *program) runHealthcheck(ctx context.Context, file, address string) error {
	if address == "" {
		cfg, err := p.load(file)
		if err != nil {
			fmt.Fprintln(p.Err, err)
		}
		if cfg == nil { // nothing of it can be read: the defaults, and what the environment says
			if cfg, err = config.Parse(file, []byte("{}"), p.environ); err != nil {
				return err
			}
		}
		if address, err = dialable(cfg.Admin.Listen); err != nil {
			return err
		}
	}
	status, body, err := adminGet(ctx, address, "/readyz", "")
	if err != nil {
		return err
	}
	var answer struct{ Parts []admin.Part }
	if json.Unmarshal(body, &answer) != nil || status != http.StatusOK && status != http.StatusServiceUnavailable {
		return problemOf(status, body)
	}
	p.printParts(answer.Parts)
	if status != http.StatusOK {
		return fmt.Errorf("the gateway at %s is not ready", address)
	}
	return nil
}

// printParts writes what readiness depends on, and how it is.
func (p *program) printParts(parts []admin.Part) {
	rows := make([][]string, 0, len(parts))
	for _, part := range parts {
		rows = append(rows, []string{string(part.State), part.Name, part.Detail})
	}
	table(p.Out, "  ", rows)
}
