package store

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// redialling has every dial be a dial. After some that failed in a row go-redis
// would only try once a second, and refuse at once meanwhile. That is too
// seldom: replicas count on each other to be back within a quarter of one, see
// settleTime. So a dial never fails: it makes a connection that does.
type redialling struct{}

// addRedialling sets it up for all servers of a client.
func addRedialling(client redis.UniversalClient) {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(redialling{}) })
		return
	}
	client.AddHook(redialling{})
}

func (redialling) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			here, gone := net.Pipe()
			_, _ = here.Close(), gone.Close()
			return undialled{here, fmt.Errorf("dialling: %w", err)}, nil // go-redis takes one layer off
		}
		return conn, nil
	}
}

func (redialling) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (redialling) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// undialled is a connection that there is not.
type undialled struct {
	net.Conn // closed
	err      error
}

func (u undialled) Read([]byte) (int, error)         { return 0, u.err }
func (u undialled) Write([]byte) (int, error)        { return 0, u.err }
func (u undialled) SetDeadline(time.Time) error      { return u.err }
func (u undialled) SetReadDeadline(time.Time) error  { return u.err }
func (u undialled) SetWriteDeadline(time.Time) error { return u.err }
