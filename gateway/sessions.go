package gateway

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/auth/token"
	"gatehouse/config"
	"gatehouse/store"
)

// Sessions returns the live sessions of a subject at the token service, newest
// first, for a command.
func Sessions(ctx context.Context, cfg *config.Config, subject string, now time.Time, log *slog.Logger) ([]token.Session, error) {
	if cfg.TokenService == nil {
		return nil, nil
	}
	p := apart(cfg, log)
	if err := readList(ctx, cfg, p, now, log); err != nil {
		return nil, err
	}
	var live []token.Session
	err := ReadStore(ctx, cfg, log, func(st *store.Store) error {
		all, err := st.Sessions(ctx, cfg.TokenService.Issuer, subject)
		for _, s := range all {
			if revoked, _ := s.Revoked(ctx, p.list, now); !revoked { // this list is whole, and never unsure
				live = append(live, s)
			}
		}
		return err
	})
	return live, err
}
