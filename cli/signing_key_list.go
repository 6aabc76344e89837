package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/auth/keyset"
)

func (p *program) signingKeyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the signing keys of an issuer's key ring",
		Long: "list shows the keys that the store has for an issuer with a key_ring, the oldest first. A key is published\n" +
			"before it signs, signs, and is kept for as long as tokens that it has signed can be good.",
		Example: "  gatehouse signing-key list\n  gatehouse signing-key list --issuer main --json",
		Args:    noArgs,
	}
	f := newRingFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runSigningKeyList(cmd.Context(), f, *asJSON) }
	return cmd
}

func (p *program) runSigningKeyList(ctx context.Context, f *ringFlags, asJSON bool) error {
	ring, err := p.ring(ctx, f)
	if err != nil {
		return err
	}
	keys := ring.List()
	if asJSON {
		return p.printJSON(map[string][]keyset.RingKey{"keys": keys})
	}
	if len(keys) == 0 {
		fmt.Fprintln(p.Err, "there is no key yet: a running gateway makes the first")
	}
	rows := [][]string{{"KID", "ALGORITHM", "STATE", "CREATED", "SIGNS FROM", "RETIRES AT"}}
	for _, k := range keys {
		rows = append(rows, []string{
			k.KID, k.Algorithm, string(k.State), instant(k.Created, ""), instant(k.SignsFrom, ""), instant(k.RetiresAt, "-"),
		})
	}
	table(p.Out, "", rows)
	return nil
}
