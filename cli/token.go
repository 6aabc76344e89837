package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/auth"
)

func (p *program) token() *cobra.Command {
	return group(&cobra.Command{
		Use:   "token",
		Short: "mint, inspect and revoke bearer tokens",
		Example: "  gatehouse token mint --subject alice --scope orders:read > token.txt\n" +
			"  gatehouse token inspect --token-file token.txt\n" +
			"  gatehouse token revoke --token-file token.txt",
	}, p.tokenMint(), p.tokenInspect(), p.tokenRevoke())
}

// chooseIssuer returns the issuer with that name. The name may be left out
// where there is only one.
func chooseIssuer(issuers []*auth.Issuer, name string) (*auth.Issuer, error) {
	if name == "" && len(issuers) == 1 {
		return issuers[0], nil
	}
	names := make([]string, 0, len(issuers))
	for _, i := range issuers {
		names = append(names, i.Name)
	}
	i := slices.Index(names, name)
	switch {
	case i >= 0:
		return issuers[i], nil
	case len(issuers) == 0:
		return nil, fmt.Errorf("the config has no issuer: add one under issuers")
	case name == "":
		return nil, usage("--issuer is missing: want one of %s", strings.Join(names, ", "))
	}
	return nil, usage("--issuer %q is none of %s", name, strings.Join(names, ", "))
}
