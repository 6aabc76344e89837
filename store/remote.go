package store

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"time"

	"gatehouse/auth/revocation"
)

// remote is an embedded store that another process owns. Its followers lag
// like those of any other process, so what they hear of is current when they
// hear of it and not for ever.
type remote struct {
	path string // of the file
}

// call sends a request and yields the events that answer it. The position is
// that of the last reply.
func (r *remote) call(ctx context.Context, ask socketRequest, yield func(revocation.Event) error) (revocation.Position, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socketPath(r.path))
	if err != nil {
		return "", r.lost(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := gob.NewEncoder(conn).Encode(ask); err != nil {
		return "", r.lost(ctx, err)
	}
	in := gob.NewDecoder(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(socketTimeout))
		var reply socketReply
		if err := in.Decode(&reply); err != nil {
			return "", r.lost(ctx, err)
		}
		switch {
		case !reply.Last:
			if err := yield(reply.Event); err != nil {
				return "", err
			}
		case reply.Gap:
			return "", revocation.ErrGap
		case reply.Error != "":
			return "", fmt.Errorf("%w: %w", ErrUnavailable, errors.New(reply.Error))
		default:
			return reply.Position, nil
		}
	}
}

func (r *remote) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err() // why the connection was closed
	}
	return fmt.Errorf("%w: the process that owns %s does not answer: %w", ErrUnavailable, r.path, err)
}

func (r *remote) Snapshot(ctx context.Context, yield func(revocation.Event) error) (revocation.Position, error) {
	return r.call(ctx, socketRequest{Op: "snapshot"}, yield)
}

func (r *remote) Follow(ctx context.Context, from revocation.Position, yield func(revocation.Event) error) error {
	_, err := r.call(ctx, socketRequest{Op: "follow", From: from}, func(e revocation.Event) error {
		if e.Op == revocation.Current {
			e.Time = time.Now()
		}
		return yield(e)
	})
	return err
}

func (r *remote) write(ctx context.Context, e revocation.Event) error {
	_, err := r.call(ctx, socketRequest{Op: "write", Event: e}, nil)
	return err
}

func (r *remote) ping(ctx context.Context) error {
	_, err := r.call(ctx, socketRequest{Op: "ping"}, nil)
	return err
}

func (r *remote) close() error { return nil }
