package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/auth/keyset"
	"gatehouse/gateway"
)

func (p *program) signingKey() *cobra.Command {
	return group(&cobra.Command{
		Use:   "signing-key",
		Short: "list and rotate the signing keys that are kept in the store",
		Example: "  gatehouse signing-key list\n" +
			"  gatehouse signing-key rotate --issuer main",
	}, p.signingKeyList(), p.signingKeyRotate())
}

// ringFlags say whose keys a verb is about.
type ringFlags struct {
	config *string
	issuer string
}

func newRingFlags(cmd *cobra.Command) *ringFlags {
	f := &ringFlags{config: configFlag(cmd)}
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "name of the issuer; may be left out where one has a key_ring")
	return f
}

// ring returns the key ring that is asked for, as the store has it now. The
// name may be left out where only one issuer has a ring.
func (p *program) ring(ctx context.Context, f *ringFlags) (*keyset.Ring, error) {
	cfg, err := p.load(*f.config)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, issuer := range cfg.Issuers {
		if issuer.KeyRing != nil {
			names = append(names, issuer.Name)
		}
	}
	name := f.issuer
	switch {
	case len(names) == 0:
		return nil, errors.New("no issuer has a key_ring: all signing keys are those of the config")
	case name == "" && len(names) > 1:
		return nil, usage("--issuer is missing: want one of %s", strings.Join(names, ", "))
	case name == "":
		name = names[0]
	case !slices.Contains(names, name):
		return nil, usage("--issuer %q has no key_ring: want one of %s", name, strings.Join(names, ", "))
	}
	if strings.HasPrefix(cfg.Store.URL.Reveal(), "memory:") {
		return nil, errors.New("store.url is memory:, which no other process sees")
	}
	return gateway.Ring(ctx, cfg, p.warnings(), name)
}
