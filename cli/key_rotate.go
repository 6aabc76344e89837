package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/auth"
	"gatehouse/gateway"
)

func (p *program) keyRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "make a new API key for an id and let the old ones end",
		Long: "rotate makes a new key with the same id and routes. Keys with that id which the store has end after\n" +
			"the overlap. For keys of the config it changes nothing and prints what their lines must be.",
		Example: "  gatehouse key rotate web-app\n  gatehouse key rotate web-app --overlap 168h",
		Args:    oneArg("the key's id"),
	}
	file := configFlag(cmd)
	overlap := cmd.Flags().Duration("overlap", 24*time.Hour, "how long the old keys stay good; 0: not at all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *overlap < 0 {
			return usage("--overlap must not be below 0")
		}
		return p.runKeyRotate(cmd.Context(), *file, args[0], *overlap)
	}
	return cmd
}

func (p *program) runKeyRotate(ctx context.Context, file, id string, overlap time.Duration) error {
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
	plain, sum := auth.NewAPIKeySecret()
	fresh := auth.APIKey{ID: id, SHA256: sum, Routes: lasting(slices.Concat(configured, stored)).Routes}
	end := p.now().Add(overlap).UTC().Truncate(time.Second)
	where := []string{}
	if len(stored) > 0 {
		// The new one first: at no time is there none.
		if err := p.putKeys(ctx, cfg, append([]auth.APIKey{fresh}, ending(stored, end)...)...); err != nil {
			return err
		}
		where = append(where, fmt.Sprintf("stored as %q; what the store had before ends %s at the latest", id, instant(end, "")))
	}
	if len(configured) > 0 {
		lines := ending(configured, end)
		if len(stored) == 0 {
			lines = append(lines, fresh)
		}
		where = append(where, fmt.Sprintf("the lines of %q under api_keys.keys must now be:", id))
		for _, k := range lines {
			where = append(where, "  "+configLine(k))
		}
	}
	p.printNew(plain, strings.Join(where, "\n"))
	return nil
}

// lasting returns the key that lasts longest.
func lasting(keys []auth.APIKey) auth.APIKey {
	last := keys[0]
	for _, k := range keys[1:] {
		if !last.NotAfter.IsZero() && (k.NotAfter.IsZero() || k.NotAfter.After(last.NotAfter)) {
			last = k
		}
	}
	return last
}

// ending returns the keys as they are when none lasts beyond that time.
func ending(keys []auth.APIKey, end time.Time) []auth.APIKey {
	keys = slices.Clone(keys)
	for i := range keys {
		if keys[i].NotAfter.IsZero() || keys[i].NotAfter.After(end) {
			keys[i].NotAfter = end
		}
	}
	return keys
}
