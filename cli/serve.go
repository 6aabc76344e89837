package cli

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"gatehouse/config"
	"gatehouse/gateway"
)

func (p *program) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the gateway until SIGTERM or SIGINT, then drain",
		Long: "serve runs the gateway. SIGTERM or SIGINT ends it once the requests under way are done, a second one\n" +
			"at once. SIGHUP reads the config again, as does a change of its files; a config that is wrong changes nothing.",
		Example: "  gatehouse serve\n  gatehouse serve --config /etc/gatehouse/gateway.yaml",
		Args:    noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runServe(cmd.Context(), *file) }
	return cmd
}

func (p *program) runServe(ctx context.Context, file string) error {
	tuneMemory()
	ctx, cancel := untilSignalled(ctx)
	defer cancel()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	cfg, err := p.load(file)
	if err != nil {
		return err
	}
	log := gateway.NewLog(cfg.Log, p.Err)
	defer log.Close()
	b := build()
	gw, err := gateway.New(ctx, gateway.Config{
		Config: cfg, Load: func() (*config.Config, error) { return p.load(file) },
		Log: log, Build: b, HashCommand: hashCommand(),
	})
	if err != nil {
		return err
	}
	log.Info("gatehouse: serving",
		"listen", gw.Addr().String(), "admin", gw.AdminAddr().String(), "store", cfg.Store.URL.String(),
		"routes", len(cfg.Routes), "issuers", len(cfg.Issuers), "config", file,
		"version", b.Version, "commit", b.Commit, "go", runtime.Version())

	reloading := make(chan struct{})
	go func() {
		defer close(reloading)
		for {
			select {
			case <-hangup:
				_ = gw.Reload(ctx) // the gateway logs what came of it
			case <-ctx.Done():
				return
			}
		}
	}()
	err = gw.Run(ctx)
	cancel()
	<-reloading
	return err
}

// untilSignalled returns a context that ends with the first SIGTERM or SIGINT.
// From then on signals have their usual effect, so that a second one ends the
// process.
func untilSignalled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
