package store

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"gatehouse/auth/token"
)

// roundTrips counts what a client sends and waits for.
type roundTrips struct{ n int }

func (r *roundTrips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { r.n++; return next(ctx, cmd) }
}

func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { r.n++; return next(ctx, cmds) }
}

// TestRoundTrips: each operation of the token service takes one, so that a
// refresh takes two.
func TestRoundTrips(t *testing.T) {
	s, err := Open(t.Context(), Config{URL: "redis://" + miniredis.RunT(t).Addr(), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sent := &roundTrips{}
	s.backend.(*redisStore).client.AddHook(sent)
	ctx, session := t.Context(), loginAt("alice", time.Now().Add(time.Hour))
	r := token.RefreshHashes{Family: [32]byte{1}, Current: [32]byte{2}}
	limits := []token.Limit{{Key: "a", Max: 9, Window: time.Minute}, {Key: "b", Max: 9, Window: time.Minute}}
	second := loginAt("alice", session.Expires)
	if err := s.PutSession(ctx, second, r); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		operation string
		do        func() error
	}{
		{"session_put", func() error { return s.PutSession(ctx, session, r) }},
		{"session", func() error { _, err := s.Session(ctx, session.ID); return err }},
		{"sessions", func() error { _, err := s.Sessions(ctx, "main", "alice"); return err }},
		{"session_rotate", func() error {
			_, _, err := s.RotateSession(ctx, session.ID, token.Rotation{Presented: r, Next: [32]byte{3}, Expires: session.Expires})
			return err
		}},
		{"session_end", func() error { return s.EndSession(ctx, session.ID) }},
		{"login_take", func() error { _, err := s.Take(ctx, limits); return err }},
		{"login_return", func() error { return s.Return(ctx, limits) }},
		{"keyring_put", func() error { return s.PutKeyring(ctx, "main", []byte("ring"), 0) }},
		{"keyring", func() error { _, _, err := s.Keyring(ctx, "main"); return err }},
	} {
		before := sent.n
		if err := c.do(); err != nil || sent.n != before+1 {
			t.Errorf("%s took %d round trips: %v", c.operation, sent.n-before, err)
		}
	}
	// What can be no session of ours costs none.
	before := sent.n
	if _, err := s.Session(ctx, "jti of another issuer"); !errors.Is(err, token.ErrNoSession) || sent.n != before {
		t.Errorf("no id of ours took %d round trips: %v", sent.n-before, err)
	}
}
