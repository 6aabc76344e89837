package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/gateway"
)

// mintFlags say what is to stand in a token.
type mintFlags struct {
	config    *string
	issuer    string
	subject   string
	claims    []string
	scopes    []string
	audiences []string
	expiresIn time.Duration
	typ       string
}

func (p *program) tokenMint() *cobra.Command {
	var f mintFlags
	cmd := &cobra.Command{
		Use:   "mint",
		Short: "sign a token with a configured issuer's key",
		Long: "mint signs a token with the first key of the issuer that can sign, and prints it. It has iss, aud, iat,\n" +
			"nbf, exp and a random jti; --claim adds to these, or replaces them.",
		Example: "  gatehouse token mint --subject alice\n" +
			"  gatehouse token mint --issuer main --subject alice --scope orders:read --claim email=alice@example.com\n" +
			"  gatehouse token mint --subject 7 --claim 'roles=[\"admin\",\"staff\"]' --claim 'realm={\"id\":3}' --expires-in 10m",
		Args: noArgs,
	}
	f.config = configFlag(cmd)
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "name of the issuer; may be left out where there is one")
	cmd.Flags().StringVar(&f.subject, "subject", "", "who the token is about, the issuer's subject_claim")
	cmd.Flags().StringArrayVar(&f.claims, "claim", nil, "name=value: JSON where it is JSON, else a string; repeatable")
	cmd.Flags().StringSliceVar(&f.scopes, "scope", nil, "scopes, by commas or repeated")
	cmd.Flags().StringArrayVar(&f.audiences, "audience", nil, "audience; repeatable; default: the first that the issuer accepts")
	cmd.Flags().DurationVar(&f.expiresIn, "expires-in", time.Hour, "life of the token")
	cmd.Flags().StringVar(&f.typ, "typ", "JWT", "type in the token's header")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runMint(cmd.Context(), f) }
	return cmd
}

func (p *program) runMint(ctx context.Context, f mintFlags) error {
	cfg, err := p.load(*f.config)
	if err != nil {
		return err
	}
	issuers, err := gateway.Issuers(ctx, cfg, p.warnings())
	if err != nil {
		return err
	}
	issuer, err := chooseIssuer(issuers, f.issuer)
	if err != nil {
		return err
	}
	signer := issuer.Keys.Signer()
	if signer == nil {
		return fmt.Errorf("issuer %q has no key that can sign: give it one with private_key_file or secret_file", issuer.Name)
	}
	claims, err := f.payload(issuer, p.now())
	if err != nil {
		return err
	}
	token, err := auth.Sign(signer, f.typ, claims)
	if err != nil {
		return err
	}
	// Whoever mints a token means to use it: say at once why it would not do.
	gate, err := gateFor(issuers, noRevocations())
	if err != nil {
		return err
	}
	if report, _ := gate.Inspect(ctx, token, p.now()); report.Reason != auth.OK {
		fmt.Fprintf(p.Err, "warning: the gateway would refuse this token: %s; see gatehouse token inspect\n", report.Reason)
	}
	fmt.Fprintln(p.Out, token)
	return nil
}

// payload returns the claims that the flags ask for.
func (f mintFlags) payload(issuer *auth.Issuer, now time.Time) (map[string]any, error) {
	if f.expiresIn < time.Second || f.expiresIn > issuer.MaxTokenLife {
		return nil, usage("--expires-in must be from 1s to max_token_life of the issuer, %s", issuer.MaxTokenLife)
	}
	claims := map[string]any{
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(f.expiresIn).Unix(), "jti": rand.Text(),
	}
	if issuer.Issuer != "" {
		claims["iss"] = issuer.Issuer
	}
	if f.audiences == nil && len(issuer.Audiences) > 0 {
		f.audiences = issuer.Audiences[:1]
	}
	switch len(f.audiences) {
	case 0:
	case 1:
		claims["aud"] = f.audiences[0]
	default:
		claims["aud"] = f.audiences
	}
	if f.subject != "" {
		claims[issuer.SubjectClaim] = f.subject
	}
	if len(f.scopes) > 0 {
		claims["scope"] = strings.Join(f.scopes, " ")
	}
	for _, claim := range f.claims {
		name, value, found := strings.Cut(claim, "=")
		if !found || name == "" {
			return nil, usage("--claim %q: want name=value", claim)
		}
		if json.Valid([]byte(value)) {
			claims[name] = json.RawMessage(value) // digits stay as they are
		} else {
			claims[name] = value
		}
	}
	return claims, nil
}
