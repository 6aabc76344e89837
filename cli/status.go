package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/admin"
)

func (p *program) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show how the running gateway is",
		Long: "status asks the admin API of the running gateway, whose address and token are those of the config.\n" +
			"The exit status is 0 when there is an answer, also from a gateway that is not ready.",
		Example: "  gatehouse status\n  gatehouse status --config /etc/gatehouse/gateway.yaml --json",
		Args:    noArgs,
	}
	file := configFlag(cmd)
	address := cmd.Flags().String("admin", "", "address of the admin listener, host:port; default: admin.listen of the config")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.runStatus(cmd.Context(), *file, *address, *asJSON)
	}
	return cmd
}

func (p *program) runStatus(ctx context.Context, file, address string, asJSON bool) error {
	cfg, err := p.load(file)
	if cfg == nil {
		return err
	}
	if err != nil { // the gateway goes on with the config before
		fmt.Fprintln(p.Err, err)
	}
	if address == "" {
		if address, err = dialable(cfg.Admin.Listen); err != nil {
			return err
		}
	}
	token, err := adminToken(cfg)
	if err != nil {
		return err
	}
	code, body, err := adminGet(ctx, address, "/v1/status", token)
	if err != nil {
		return err
	}
	var s admin.Status
	if code != http.StatusOK || json.Unmarshal(body, &s) != nil {
		return problemOf(code, body)
	}
	if asJSON {
		return p.printJSON(s)
	}
	p.printStatus(s)
	return nil
}

func (p *program) printStatus(s admin.Status) {
	ready := "ready"
	if !s.Ready {
		ready = "NOT ready"
	}
	fmt.Fprintf(p.Out, "gatehouse %s (%s, %s), up %s, %s\n", s.Version, s.Commit, s.Go, p.now().Sub(s.Started).Round(time.Second), ready)
	p.printParts(s.Parts)
	rows := [][]string{{"config", fmt.Sprintf("%s, loaded %s", s.Config.File, instant(s.Config.LoadedAt, "never"))}}
	for line := range strings.Lines(s.Config.Error) {
		rows = append(rows, []string{"", "not accepted: " + strings.TrimSpace(line)})
	}
	entries := []string{}
	for _, kind := range slices.Sorted(maps.Keys(s.Revocations.Entries)) {
		entries = append(entries, fmt.Sprintf("%d %s", s.Revocations.Entries[kind], kind))
	}
	age := fmt.Sprintf("%.1f s old", s.Revocations.AgeSeconds)
	switch {
	case s.Revocations.AgeSeconds < 0:
		age = "NOT READ yet"
	case s.Revocations.Stale:
		age += ", STALE"
	}
	if s.Revocations.FilterBits > 0 {
		age += fmt.Sprintf("; behind a filter of %d KiB", s.Revocations.FilterBits>>13)
	}
	rows = append(rows, []string{"revocations", strings.Join(entries, ", ") + "; " + age})
	for _, issuer := range s.Issuers {
		kids := []string{}
		for _, kid := range issuer.KeyIDs {
			kids = append(kids, cmp.Or(kid, "(no kid)"))
		}
		detail := "keys " + strings.Join(kids, ", ")
		if issuer.Signer != "" {
			detail += "; signs with " + issuer.Signer
		}
		switch {
		case issuer.Introspection && issuer.Ready:
			detail = "asked about its tokens"
		case issuer.Introspection:
			detail = "asked about its tokens, DOES NOT ANSWER"
		case !issuer.Ready:
			detail = "its keys CANNOT BE HAD"
		}
		rows = append(rows, []string{"issuer", issuer.Name + ": " + detail})
	}
	table(p.Out, "", rows)
}
