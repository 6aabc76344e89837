package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/gateway"
	"gatehouse/store"
)

// revokeFlags say what is to be revoked.
type revokeFlags struct {
	config    *string
	tokenFile string
	ids       map[auth.Kind]*string
	issuer    string
	before    string
	ttl       time.Duration
}

// revokedBy are the flags that name what is to be revoked by its id.
var revokedBy = []struct {
	kind       auth.Kind
	flag, help string
}{
	{auth.KindToken, "jti", "id of a token"},
	{auth.KindSession, "sid", "id of a session, and all that was renewed in it"},
	{auth.KindSubject, "subject", "subject, all of whose sessions begun so far end"},
	{auth.KindClient, "client", "client_id or azp, all of whose sessions begun so far end"},
	{auth.KindAPIKey, "api-key", "id of an API key"},
}

func (p *program) tokenRevoke() *cobra.Command {
	f := revokeFlags{ids: map[auth.Kind]*string{}}
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "revoke a token, a session, a subject, a client or an API key",
		Long: "revoke puts an entry into the revocation list of the store. By a token its whole session ends. Once the\n" +
			"command is done the entry cannot be lost, and every gateway on the store enforces it as soon as it hears of it.",
		Example: "  gatehouse token revoke --token-file token.txt\n" +
			"  gatehouse token revoke --subject alice --issuer main\n" +
			"  gatehouse token revoke --client reporting --before 2026-01-31T12:00:00Z\n" +
			"  gatehouse token revoke --token-file - < token.txt",
		Args: noArgs,
	}
	f.config = configFlag(cmd)
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", "file with the token, - for standard input")
	for _, by := range revokedBy {
		f.ids[by.kind] = cmd.Flags().String(by.flag, "", by.help)
	}
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "name of the issuer; may be left out where there is one")
	cmd.Flags().StringVar(&f.before, "before", "", "spare what began after this time, as 2026-01-31T12:00:00Z; default: now for --subject and --client, else nothing is spared")
	cmd.Flags().DurationVar(&f.ttl, "ttl", 0, "how long the entry is kept; default: the longest that what is concerned can live")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runRevoke(cmd.Context(), f) }
	return cmd
}

func (p *program) runRevoke(ctx context.Context, f revokeFlags) error {
	ask, err := f.request()
	if err != nil {
		return err
	}
	cfg, err := p.load(*f.config)
	if err != nil {
		return err
	}
	issuers, err := gateway.Issuers(ctx, cfg, p.warnings())
	if err != nil {
		return err
	}
	if f.tokenFile != "" {
		text, err := p.readSecret(f.tokenFile, "Token")
		if err != nil {
			return err
		}
		session, err := sessionOf(ctx, strings.TrimSpace(text), issuers, p.now())
		if err != nil {
			return err
		}
		session.Before, session.TTL = ask.Before, ask.TTL
		ask = session
	}
	st, err := p.openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	return p.revoke(ctx, st, issuers, ask)
}

// revoke stores the entry and says so.
func (p *program) revoke(ctx context.Context, st *store.Store, issuers []*auth.Issuer, ask auth.RevocationRequest) error {
	entry, err := ask.Entry(issuers, p.now())
	if err != nil {
		return usage("%w", err)
	}
	if err := st.Revoke(ctx, entry); err != nil {
		return err
	}
	fmt.Fprintf(p.Out, "revoked %s %s", entry.Kind, entry.ID)
	if entry.Issuer != "" {
		fmt.Fprintf(p.Out, " of issuer %s", entry.Issuer)
	}
	if !entry.Before.IsZero() {
		fmt.Fprintf(p.Out, ", all begun until %s", instant(entry.Before, ""))
	}
	fmt.Fprintf(p.Out, "; the entry is kept until %s\n", instant(entry.Until, ""))
	return nil
}

// request is what the flags ask for; by a token, the times alone.
func (f revokeFlags) request() (auth.RevocationRequest, error) {
	ask := auth.RevocationRequest{Issuer: f.issuer, TTL: f.ttl}
	given := 0
	if f.tokenFile != "" {
		given++
	}
	for kind, id := range f.ids {
		if *id != "" {
			ask.Kind, ask.ID = kind, *id
			given++
		}
	}
	switch {
	case given != 1:
		return ask, usage("want one of --token-file, --jti, --sid, --subject, --client and --api-key")
	case f.tokenFile != "" && f.issuer != "":
		return ask, usage("--issuer is for ids: a token names its own")
	case f.ttl < 0:
		return ask, usage("--ttl must be above 0")
	case f.before == "":
		return ask, nil
	}
	before, err := time.Parse(time.RFC3339, f.before)
	if err != nil {
		return ask, usage("--before %q: want a time such as 2026-01-31T12:00:00Z", f.before)
	}
	ask.Before = before
	return ask, nil
}

// sessionOf asks for the session of a token that one of the issuers vouches for
// and that has not expired.
func sessionOf(ctx context.Context, compact string, issuers []*auth.Issuer, now time.Time) (auth.RevocationRequest, error) {
	var ask auth.RevocationRequest
	gate, err := gateFor(issuers, noRevocations())
	if err != nil {
		return ask, err
	}
	report, _ := gate.Inspect(ctx, compact, now)
	switch t := report.Token; {
	case t != nil:
		return auth.RevocationRequest{Kind: auth.KindSession, ID: t.SessionID(), Issuer: t.Issuer().Name}, nil
	case report.Reason == auth.TokenExpired:
		return ask, expired(report)
	}
	return ask, fmt.Errorf("the token is not valid, so nothing was revoked: %s: %s", report.Reason, report.Reason.Title())
}

// expired tells how to end what was renewed from a token that is over itself.
func expired(report auth.Report) error {
	message := "the token has expired by itself, so nothing was revoked"
	for _, name := range []string{"sid", "jti"} {
		if id := claim(report.Claims, name); id != "" {
			return fmt.Errorf("%s; to end what was renewed from it: gatehouse token revoke --sid %s", message, shellQuote(id))
		}
	}
	return errors.New(message)
}

// claim returns a string claim, empty when there is none that could stand on
// a command line.
func claim(claims []byte, name string) string {
	var members map[string]any
	if json.Unmarshal(claims, &members) != nil {
		return ""
	}
	s, _ := members[name].(string)
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}
