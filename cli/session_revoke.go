package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/auth/token"
	"gatehouse/gateway"
)

func (p *program) sessionRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke [SID]",
		Short: "end a session, or all of a subject's",
		Long: "revoke ends a session: its access tokens, also those renewed since, are refused everywhere from now on, and\n" +
			"its refresh token is worth nothing. With --subject all sessions that the subject has begun so far end; a later\n" +
			"login is let in.",
		Example: "  gatehouse session revoke mC0xq1…\n  gatehouse session revoke --subject alice",
		Args:    cobra.MaximumNArgs(1),
	}
	file := configFlag(cmd)
	subject := cmd.Flags().String("subject", "", "end all sessions of this subject")
	sid := cmd.Flags().String("sid", "", "end this session, where it is not given as an argument")
	issuer := cmd.Flags().String("issuer", "", "name of the issuer; may be left out where there is one, or the session is the token service's")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ask := auth.RevocationRequest{Kind: auth.KindSubject, ID: *subject, Issuer: *issuer}
		if ask.ID == "" || len(args) > 0 || *sid != "" {
			id, err := oneOf(args, *sid, "want the sid of a session, or --subject")
			if err == nil && ask.ID != "" {
				err = usage("want a sid or --subject, not both")
			}
			if err != nil {
				return err
			}
			ask.Kind, ask.ID = auth.KindSession, id
		}
		return p.runSessionRevoke(cmd.Context(), *file, ask)
	}
	return cmd
}

func (p *program) runSessionRevoke(ctx context.Context, file string, ask auth.RevocationRequest) error {
	cfg, err := p.load(file)
	if err != nil {
		return err
	}
	issuers, err := gateway.Issuers(ctx, cfg, p.warnings())
	if err != nil {
		return err
	}
	st, err := p.openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	if ask.Issuer == "" && cfg.TokenService != nil {
		ask.Issuer = cfg.TokenService.Issuer
	}
	if ask.Kind == auth.KindSession {
		switch s, err := st.Session(ctx, ask.ID); {
		case err == nil:
			ask.Issuer = s.Issuer
		case !errors.Is(err, token.ErrNoSession):
			return err
		}
	}
	if err := p.revoke(ctx, st, issuers, ask); err != nil { // first: this is what ends it everywhere
		return err
	}
	if ask.Kind == auth.KindSession {
		return st.EndSession(ctx, ask.ID)
	}
	return nil
}
