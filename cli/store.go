package cli

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/gateway"
	"gatehouse/store"
)

// openStore opens the store of a config for one command, also beside a gateway
// that is running on it.
func (p *program) openStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	if strings.HasPrefix(cfg.Store.URL.Reveal(), "memory:") {
		return nil, errors.New("store.url is memory:, which no other process sees: use the admin API of the running gateway")
	}
	return gateway.OpenStore(ctx, cfg, p.warnings())
}

// storedKeys returns the API keys that the store has, those with the id only
// unless it is empty.
func (p *program) storedKeys(ctx context.Context, cfg *config.Config, id string) (keys []auth.APIKey, err error) {
	err = gateway.ReadStore(ctx, cfg, p.warnings(), func(st *store.Store) error {
		keys, err = st.APIKeys(ctx)
		return err
	})
	if id != "" {
		keys = withID(keys, id)
	}
	return keys, err
}

// warnings is a log of what a command's user should know.
func (p *program) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(p.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
