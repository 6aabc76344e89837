package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"gatehouse/gateway"
)

// Set when the binary is linked: -X gatehouse/cli.version=….
var (
	version string
	commit  string
)

// build tells which program this is. Without what the linker was told, it is
// what Go noted of the source.
func build() gateway.Build {
	b := gateway.Build{Version: version, Commit: commit}
	info, ok := debug.ReadBuildInfo()
	if b.Version == "" && ok {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "dev"
	}
	for i := 0; ok && b.Commit == "" && i < len(info.Settings); i++ {
		if info.Settings[i].Key == "vcs.revision" {
			b.Commit = info.Settings[i].Value
		}
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

func (p *program) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "print version, commit and Go version",
		Example: "  gatehouse version\n  gatehouse version --json",
		Args:    noArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(*cobra.Command, []string) error {
		b := build()
		if *asJSON {
			return p.printJSON(map[string]string{"version": b.Version, "commit": b.Commit, "go": runtime.Version()})
		}
		fmt.Fprintf(p.Out, "gatehouse %s\ncommit %s\n%s\n", b.Version, b.Commit, runtime.Version())
		return nil
	}
	return cmd
}
