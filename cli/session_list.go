package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth/token"
	"gatehouse/gateway"
)

func (p *program) sessionList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [SUBJECT]",
		Short: "list a subject's live sessions",
		Long: "list shows the sessions that the subject (the claim sub) began by logging in at the token service and that\n" +
			"are not over, newest first. Sessions of tokens from elsewhere are not kept and not shown.",
		Example: "  gatehouse session list alice\n  gatehouse session list alice --json",
		Args:    cobra.MaximumNArgs(1),
	}
	file := configFlag(cmd)
	subject := cmd.Flags().String("subject", "", "the subject, where it is not given as an argument")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		who, err := oneOf(args, *subject, "want a subject, as in gatehouse session list alice")
		if err != nil {
			return err
		}
		return p.runSessionList(cmd.Context(), *file, who, *asJSON)
	}
	return cmd
}

// sessionOutput is a session as --json prints it.
type sessionOutput struct {
	ID        string    `json:"sid"`
	Issuer    string    `json:"issuer"`
	ClientID  string    `json:"client_id,omitempty"`
	Scopes    []string  `json:"scopes,omitempty"`
	Address   string    `json:"address,omitempty"`
	AuthTime  time.Time `json:"auth_time"`
	Refreshed time.Time `json:"refreshed"`
	Expires   time.Time `json:"expires"`
}

func (p *program) runSessionList(ctx context.Context, file, subject string, asJSON bool) error {
	cfg, err := p.load(file)
	if err != nil {
		return err
	}
	sessions, err := gateway.Sessions(ctx, cfg, subject, p.now(), p.warnings())
	if err != nil {
		return err
	}
	if asJSON {
		all := []sessionOutput{}
		for _, s := range sessions {
			all = append(all, sessionOutput{s.ID, s.Issuer, s.ClientID, s.Scopes, s.Address, s.AuthTime.UTC(), s.Refreshed.UTC(), s.Expires.UTC()})
		}
		return p.printJSON(map[string][]sessionOutput{"sessions": all})
	}
	rows := [][]string{{"SID", "LOGIN", "REFRESHED", "EXPIRES", "CLIENT", "ADDRESS"}}
	for _, s := range sessions {
		rows = append(rows, sessionRow(s))
	}
	table(p.Out, "", rows)
	return nil
}

func sessionRow(s token.Session) []string {
	client := s.ClientID
	if client == "" {
		client = "-"
	}
	return []string{s.ID, instant(s.AuthTime, ""), instant(s.Refreshed, ""), instant(s.Expires, ""), client, strings.TrimSpace(s.Address)}
}
