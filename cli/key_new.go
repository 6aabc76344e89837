package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/config"
)

// keyFlags say which key is to be made.
type keyFlags struct {
	config   *string
	id       string
	notAfter string
	routes   []string
	store    bool
	json     bool
}

func (p *program) keyNew() *cobra.Command {
	var f keyFlags
	cmd := &cobra.Command{
		Use:   "new",
		Short: "make an API key",
		Long: "new makes a key of 256 random bits, prints it this once, and prints the line with its hash for\n" +
			"api_keys.keys of the config. With --store the key is kept in the store instead and is good at once.",
		Example: "  gatehouse key new --id web-app\n" +
			"  gatehouse key new --id web-app --not-after 2027-01-31T00:00:00Z --route orders --store",
		Args: noArgs,
	}
	f.config = configFlag(cmd)
	cmd.Flags().StringVar(&f.id, "id", "", "what logs, metrics and upstreams see of it; default: key- and the head of its hash")
	cmd.Flags().StringVar(&f.notAfter, "not-after", "", "when the key ends, as 2027-01-31T00:00:00Z; default: never")
	cmd.Flags().StringArrayVar(&f.routes, "route", nil, "name of a route that it opens; repeatable; default: all")
	cmd.Flags().BoolVar(&f.store, "store", false, "keep the key in the store that the config names")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return p.runKeyNew(cmd.Context(), f) }
	return cmd
}

func (p *program) runKeyNew(ctx context.Context, f keyFlags) error {
	plain, sum := auth.NewAPIKeySecret()
	key, err := f.key(sum, p.now())
	if err != nil {
		return err
	}
	where := "under api_keys.keys in gateway.yaml:\n  " + configLine(key)
	if f.store {
		cfg, err := p.load(*f.config)
		if err != nil {
			return err
		}
		if err := f.checkRoutes(cfg); err != nil {
			return err
		}
		if err := p.putKeys(ctx, cfg, key); err != nil {
			return err
		}
		where = fmt.Sprintf("stored as %q", key.ID)
	}
	if f.json {
		o := outputOf(key)
		o.Key = plain
		return p.printJSON(o)
	}
	p.printNew(plain, where)
	return nil
}

// key is the key with that hash that the flags describe.
func (f keyFlags) key(sum [32]byte, now time.Time) (auth.APIKey, error) {
	key := auth.APIKey{ID: f.id, SHA256: sum, Routes: f.routes}
	if key.ID == "" {
		key.ID = "key-" + hex.EncodeToString(sum[:4])
	}
	if err := checkKeyID(key.ID); err != nil {
		return key, err
	}
	if f.notAfter != "" {
		var err error
		if key.NotAfter, err = time.Parse(time.RFC3339, f.notAfter); err != nil || !key.NotAfter.After(now) {
			return key, usage("--not-after %q: want a time to come, such as 2027-01-31T00:00:00Z", f.notAfter)
		}
	}
	return key, nil
}

func checkKeyID(id string) error {
	if !auth.ValidAPIKeyID(id) {
		return usage("the id must be %s", auth.WantAPIKeyID)
	}
	return nil
}

func (f keyFlags) checkRoutes(cfg *config.Config) error {
	for _, name := range f.routes {
		if !slices.ContainsFunc(cfg.Routes, func(r config.Route) bool { return r.Name == name }) {
			return usage("--route %q: no route of the config has that name", name)
		}
	}
	return nil
}

// putKeys stores the keys.
func (p *program) putKeys(ctx context.Context, cfg *config.Config, keys ...auth.APIKey) error {
	st, err := p.openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	for _, k := range keys {
		if err := st.PutAPIKey(ctx, k); err != nil {
			return err
		}
	}
	return nil
}
