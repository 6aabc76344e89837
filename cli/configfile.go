package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/config"
)

// configFlag adds --config to a verb and returns where its value will be.
func configFlag(cmd *cobra.Command) *string {
	file := os.Getenv("GATEHOUSE_CONFIG")
	if file == "" {
		file = "gateway.yaml"
	}
	cmd.Flags().StringVarP(&file, "config", "c", file, "config file; also $GATEHOUSE_CONFIG")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails for a flag that is not there
	return &file
}

// load reads the config file.
func (p *program) load(file string) (*config.Config, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file: name yours with --config, or let gatehouse init write one", file)
	}
	return config.Load(config.LoadConfig{File: file, Environ: p.environ})
}
