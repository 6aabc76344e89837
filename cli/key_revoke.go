package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/gateway"
)

func (p *program) keyRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "refuse every API key with an id from now on",
		Long: "revoke puts the id on the revocation list and deletes the keys that the store has for it. The id stays\n" +
			"revoked, for keys of the config too: give the client another one.",
		Example: "  gatehouse key revoke web-app",
		Args:    oneArg("the key's id"),
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return p.runKeyRevoke(cmd.Context(), *file, args[0]) }
	return cmd
}

func (p *program) runKeyRevoke(ctx context.Context, file, id string) error {
	cfg, err := p.load(file)
	if err != nil {
		return err
	}
	stored, err := p.storedKeys(ctx, cfg, id)
	if err != nil {
		return err
	}
	configured := withID(gateway.APIKeys(cfg), id)
	if len(stored)+len(configured) == 0 {
		return fmt.Errorf("no API key has the id %q: gatehouse key list shows them all", id)
	}
	st, err := p.openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	entry, err := auth.RevocationRequest{Kind: auth.KindAPIKey, ID: id}.Entry(nil, p.now())
	if err != nil {
		return err
	}
	if err := st.Revoke(ctx, entry); err != nil { // first: this is what ends the keys everywhere
		return err
	}
	for _, k := range stored {
		if err := st.DeleteAPIKey(ctx, k.SHA256); err != nil {
			return err
		}
	}
	fmt.Fprintf(p.Out, "revoked API key %s; %s deleted from the store\n", id, count(len(stored), "key"))
	if len(configured) > 0 {
		fmt.Fprintf(p.Out, "remove its %s under api_keys.keys when you next change the config\n", count(len(configured), "line"))
	}
	return nil
}
