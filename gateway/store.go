package gateway

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"gatehouse/config"
	"gatehouse/store"
)

func storeConfig(cfg *config.Config, log *slog.Logger) (store.Config, error) {
	path, t, err := clientTLS("store.tls", cfg.Store.TLS)
	if err != nil {
		return store.Config{}, cfg.Problem(path, "%v", err)
	}
	return store.Config{
		URL: cfg.Store.URL.Reveal(), Timeout: cfg.Store.Timeout.Std(), PollEvery: pollEvery(cfg.Revocation), Shards: cfg.Store.RevocationShards, TLS: t,
		WaitReplicas: cfg.Store.WaitReplicas, WaitTimeout: cfg.Store.WaitTimeout.Std(), Log: log,
	}, nil
}

// pollEvery is often enough that a list that is followed is never stale for
// that.
func pollEvery(cfg config.Revocation) time.Duration {
	return min(cfg.MaxStaleness.Std()/4, 500*time.Millisecond)
}

// OpenStore opens the store of a configuration for a command. An embedded one
// that a running gateway owns is reached through that gateway.
func OpenStore(ctx context.Context, cfg *config.Config, log *slog.Logger) (*store.Store, error) {
	sc, err := storeConfig(cfg, log)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, sc)
}

// ReadStore calls read with the store of a configuration, for a command that
// only looks. It does not where there is nothing to be seen: the store is in
// the memory of another process, or a file that no gateway has made yet. To
// make it here could make it the wrong user's.
func ReadStore(ctx context.Context, cfg *config.Config, log *slog.Logger, read func(*store.Store) error) error {
	url := cfg.Store.URL.Reveal()
	if strings.HasPrefix(url, "memory:") {
		return nil
	}
	if file, ok := strings.CutPrefix(url, "file:"); ok {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	st, err := OpenStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer st.Close()
	return read(st)
}
