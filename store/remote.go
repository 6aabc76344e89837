package store

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/auth/token"
)

// remote is an embedded store that another process owns. Its followers lag
// like those of any other process, so what they hear of is current when they
// hear of it and not for ever.
type remote struct {
	path string // of the file
}

// call sends a request, yields the events that answer it, and returns the last
// reply.
func (r *remote) call(ctx context.Context, ask socketRequest, yield func(revocation.Event) error) (socketReply, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socketPath(r.path))
	if err != nil {
		return socketReply{}, r.lost(ctx, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := gob.NewEncoder(conn).Encode(ask); err != nil {
		return socketReply{}, r.lost(ctx, err)
	}
	in := gob.NewDecoder(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(socketTimeout))
		var reply socketReply
		if err := in.Decode(&reply); err != nil {
			return socketReply{}, r.lost(ctx, err)
		}
		switch {
		case !reply.Last:
			if err := yield(reply.Event); err != nil {
				return socketReply{}, err
			}
		case reply.Outcome > 0 && int(reply.Outcome) <= len(socketOutcomes):
			return socketReply{}, socketOutcomes[reply.Outcome-1]
		case reply.Error != "":
			return socketReply{}, fmt.Errorf("%w: %w", ErrUnavailable, errors.New(reply.Error))
		default:
			return reply, nil
		}
	}
}

func (r *remote) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err() // why the connection was closed
	}
	return fmt.Errorf("%w: the process that owns %s does not answer: %w", ErrUnavailable, r.path, err)
}

func (r *remote) shards() []shard { return []shard{r} }

func (r *remote) Snapshot(ctx context.Context, yield func(revocation.Event) error) (revocation.Position, error) {
	reply, err := r.call(ctx, socketRequest{Op: "snapshot"}, yield)
	return reply.Position, err
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

func (r *remote) Restore(ctx context.Context, entries []auth.Revocation) error {
	_, err := r.call(ctx, socketRequest{Op: "restore", Entries: entries}, nil)
	return err
}

func (r *remote) Confirm(ctx context.Context, since revocation.Position, asked ...auth.Revocation) (there []auth.Revocation, whole bool, err error) {
	_, err = r.call(ctx, socketRequest{Op: "confirm", From: since, Entries: asked}, func(e revocation.Event) error {
		there = append(there, e.Revocation)
		return nil
	})
	return there, err == nil, err
}

func (r *remote) Vouch(context.Context, revocation.Position, revocation.Position) error { return nil }

func (r *remote) ping(ctx context.Context) error {
	_, err := r.call(ctx, socketRequest{Op: "ping"}, nil)
	return err
}

func (r *remote) PutSession(ctx context.Context, s token.Session, h token.RefreshHashes) error {
	s.Refresh = h
	_, err := r.call(ctx, socketRequest{Op: "session_put", Session: s}, nil)
	return err
}

func (r *remote) Session(ctx context.Context, id string) (token.Session, error) {
	reply, err := r.call(ctx, socketRequest{Op: "session", Session: token.Session{ID: id}}, nil)
	return reply.Session, err
}

func (r *remote) sessions(ctx context.Context, issuer, subject string) ([]token.Session, error) {
	reply, err := r.call(ctx, socketRequest{Op: "sessions", Session: token.Session{Issuer: issuer, Subject: subject}}, nil)
	return reply.Sessions, err
}

func (r *remote) RotateSession(ctx context.Context, id string, rotation token.Rotation) (token.RotationResult, [32]byte, error) {
	reply, err := r.call(ctx, socketRequest{Op: "session_rotate", Session: token.Session{ID: id}, Rotation: rotation}, nil)
	return reply.Result, reply.Salt, err
}

func (r *remote) EndSession(ctx context.Context, id string) error {
	_, err := r.call(ctx, socketRequest{Op: "session_end", Session: token.Session{ID: id}}, nil)
	return err
}

func (r *remote) Take(ctx context.Context, limits []token.Limit) (time.Duration, error) {
	reply, err := r.call(ctx, socketRequest{Op: "login_take", Limits: limits}, nil)
	return reply.Wait, err
}

func (r *remote) Return(ctx context.Context, limits []token.Limit) error {
	_, err := r.call(ctx, socketRequest{Op: "login_return", Limits: limits}, nil)
	return err
}

func (r *remote) keyring(ctx context.Context, issuer string) (data []byte, version uint64, err error) {
	reply, err := r.call(ctx, socketRequest{Op: "keyring", Ring: socketRing{Issuer: issuer}}, nil)
	return reply.Ring.Data, reply.Ring.Version, err
}

func (r *remote) putKeyring(ctx context.Context, issuer string, data []byte, version uint64) error {
	_, err := r.call(ctx, socketRequest{Op: "keyring_put", Ring: socketRing{issuer, data, version}}, nil)
	return err
}

func (r *remote) close() error { return nil }
