package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/gateway"
)

func (p *program) keyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "list the API keys of the config and of the store",
		Long:    "list shows every key by its id and the head of its hash; --json has the whole hash. Nobody has the keys\nthemselves.",
		Example: "  gatehouse key list\n  gatehouse key list --json",
		Args:    noArgs,
	}
	file := configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runKeyList(cmd.Context(), *file, *asJSON) }
	return cmd
}

func (p *program) runKeyList(ctx context.Context, file string, asJSON bool) error {
	cfg, err := p.load(file)
	if err != nil {
		return err
	}
	stored, err := p.storedKeys(ctx, cfg, "")
	if err != nil {
		return err
	}
	all := []keyOutput{}
	add := func(source string, keys []auth.APIKey) {
		for _, k := range keys {
			o := outputOf(k)
			o.Source = source
			all = append(all, o)
		}
	}
	add("config", gateway.APIKeys(cfg))
	add("store", stored)
	slices.SortFunc(all, func(a, b keyOutput) int { return strings.Compare(a.ID+" "+a.SHA256, b.ID+" "+b.SHA256) })
	if asJSON {
		return p.printJSON(map[string][]keyOutput{"keys": all})
	}
	rows := [][]string{{"ID", "SHA256", "NOT AFTER", "ROUTES", "SOURCE"}}
	for _, k := range all {
		routes := "all"
		if k.Routes != nil {
			routes = strings.Join(k.Routes, ",")
		}
		end := instant(k.NotAfter, "never")
		if !k.NotAfter.IsZero() && !p.now().Before(k.NotAfter) {
			end += " (over)"
		}
		rows = append(rows, []string{k.ID, k.SHA256[:12], end, routes, k.Source})
	}
	table(p.Out, "", rows)
	return nil
}
