package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/store"
)

func (p *program) tokenInspect() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect",
		Short: "decode a token and say which check it fails",
		Long: "inspect decodes a token and takes it through every check that a request would, the revocation list\n" +
			"of the store included; the issuer of an opaque token is asked about it. The exit status is 0 when the\n" +
			"token is valid, 1 when not.",
		Example: "  gatehouse token inspect --token-file token.txt\n  gatehouse token inspect --json < token.txt",
		Args:    noArgs,
	}
	file := configFlag(cmd)
	tokenFile := cmd.Flags().String("token-file", "-", "file with the token, - for standard input")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return p.runInspect(cmd.Context(), *file, *tokenFile, *asJSON)
	}
	return cmd
}

func (p *program) runInspect(ctx context.Context, file, tokenFile string, asJSON bool) error {
	cfg, err := p.load(file)
	if err != nil {
		return err
	}
	token, err := p.readSecret(tokenFile, "Token")
	if err != nil {
		return err
	}
	gate, err := p.tokenGate(ctx, cfg)
	if err != nil {
		return err
	}
	report, steps := gate.Inspect(ctx, strings.TrimSpace(token), p.now())
	if asJSON {
		err = p.printJSON(struct {
			auth.Report
			Steps []auth.Step `json:"steps"`
		}{report, steps})
	} else {
		p.printReport(report, steps)
	}
	if err == nil && report.Reason != auth.OK {
		return &exit{status: 1}
	}
	return err
}

func (p *program) printReport(r auth.Report, steps []auth.Step) {
	trust, absent := "", "cannot be read"
	if slices.ContainsFunc(steps, func(s auth.Step) bool { return s.Check == "introspection" }) {
		absent = "none, the token is opaque"
	}
	if r.Reason != auth.OK {
		trust = " (not to be trusted)"
	}
	for _, part := range []struct {
		name string
		text jsontext.Value
	}{{"header", r.Header}, {"claims", r.Claims}} {
		if part.text == nil {
			fmt.Fprintf(p.Out, "%s: %s\n", part.name, absent)
			continue
		}
		_ = part.text.Indent(jsontext.WithIndent("  ")) // it was decoded, so it is JSON
		fmt.Fprintf(p.Out, "%s%s: %s\n", part.name, trust, part.text)
	}
	fmt.Fprintln(p.Out)
	// What a token alone does not have, a route and an API key, was skipped.
	p.printSteps(slices.DeleteFunc(slices.Clone(steps), func(s auth.Step) bool { return s.Result == auth.Skipped }))
	if r.Reason == auth.OK {
		fmt.Fprintln(p.Out, "valid")
		return
	}
	fmt.Fprintf(p.Out, "not valid: %s: %s\n", r.Reason, r.Reason.Title())
}

// tokenGate decides about tokens as a gateway with this config would. The
// revocation list is read from the store; that it could not be is told.
func (p *program) tokenGate(ctx context.Context, cfg *config.Config) (*auth.Gate, error) {
	issuers, err := gateway.Issuers(ctx, cfg, p.warnings())
	if err != nil {
		return nil, err
	}
	list := noRevocations()
	now := p.now()
	err = gateway.ReadStore(ctx, cfg, p.warnings(), func(st *store.Store) error {
		return st.Revocations(ctx, func(r auth.Revocation) error { list.Put(r, now); return nil })
	})
	if err != nil {
		fmt.Fprintf(p.Err, "warning: the revocation list could not be read, so that nothing counts as revoked: %v\n", err)
	}
	return gateFor(issuers, list)
}

// noRevocations is an empty list that is never stale.
func noRevocations() *revocation.Mirror {
	list := revocation.NewMirror(revocation.MirrorConfig{})
	list.Current(revocation.Always())
	return list
}

func gateFor(issuers []*auth.Issuer, list auth.RevocationList) (*auth.Gate, error) {
	return auth.NewGate(auth.GateConfig{APIKeys: auth.NewAPIKeys(nil, nil), Issuers: issuers, Revocations: list})
}
