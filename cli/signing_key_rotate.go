package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) signingKeyRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "publish a new signing key in an issuer's key ring",
		Long: "rotate makes a new key in the store and says when it begins to sign: when it has been published for as long\n" +
			"as publish_for. The key before it is kept for as long as tokens that it has signed can be good.",
		Example: "  gatehouse signing-key rotate\n  gatehouse signing-key rotate --issuer main --config gateway.yaml",
		Args:    noArgs,
	}
	f := newRingFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runSigningKeyRotate(cmd.Context(), f) }
	return cmd
}

func (p *program) runSigningKeyRotate(ctx context.Context, f *ringFlags) error {
	ring, err := p.ring(ctx, f)
	if err != nil {
		return err
	}
	key, err := ring.Rotate(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "published %s (%s), which begins to sign %s\n", key.KID, key.Algorithm, instant(key.SignsFrom, ""))
	return nil
}
