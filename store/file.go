package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	// lockPatience is how long a file that another process owns is waited
	// for: an owner that drains is about to let go, and one that has just
	// begun is about to listen.
	lockPatience = 5 * time.Second
	lockPause    = 50 * time.Millisecond
)

// openFile opens the file, or reaches the process that owns it.
func openFile(ctx context.Context, path string, cfg Config) (backend, error) {
	deadline := time.Now().Add(lockPatience)
	for {
		db, err := openDB(path, &bbolt.Options{})
		if err == nil {
			if cfg.Own {
				db.serving = serveSocket(path, db, cfg.Log)
			}
			return db, nil
		}
		if !errors.Is(err, bbolterrors.ErrTimeout) {
			return nil, fmt.Errorf("store file %s: cannot be opened; "+
				"see that its folder exists and that this user may write there: %w", path, err)
		}
		if !cfg.Own {
			if r := (&remote{path: path}); r.ping(ctx) == nil {
				return r, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, lockedError(path, cfg.Own)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

func lockedError(path string, own bool) error {
	if own {
		return fmt.Errorf("store file %s: another process owns it; "+
			"stop that one, give this one its own store.url, or let them share a Redis", path)
	}
	return fmt.Errorf("store file %s: another process owns it and does not answer on %s; "+
		"is that a gatehouse run by the same user?", path, socketPath(path))
}
