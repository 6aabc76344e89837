package users

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Ages at which a connection is not used again. A firewall may have dropped an
// idle one without a word, which would cost a login all of its time; an old one
// may lead to a server that is no longer the one to ask.
const (
	maxIdle = time.Minute
	maxLife = 30 * time.Minute
)

// pool has a fixed number of slots, and at most one connection in each. The
// driver's own pool wants goroutines and one library more.
type pool struct {
	config *pgconn.Config
	slots  chan *connection // a slot that is free; nil in it: not connected

	mu     sync.Mutex
	closed bool
}

type connection struct {
	*pgconn.PgConn
	made, used time.Time
}

func newPool(config *pgconn.Config, size int) *pool {
	p := &pool{config: config, slots: make(chan *connection, size)}
	for range size {
		p.slots <- nil
	}
	return p
}

// do has ask talk to the server. What it asks must bear being asked twice: a
// connection that the server has closed while it was idle shows that only then.
func (p *pool) do(ctx context.Context, ask func(*pgconn.PgConn) error) error {
	var c *connection
	select {
	case c = <-p.slots:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.put(c) }()
	if c.usable(time.Now()) {
		if err := ask(c.PgConn); err == nil || !c.IsClosed() || ctx.Err() != nil {
			return err
		}
	}
	c.end()
	made, err := pgconn.ConnectConfig(ctx, p.config)
	if err != nil {
		c = nil
		return err
	}
	c = &connection{PgConn: made, made: time.Now()}
	return ask(c.PgConn)
}

// put gives the slot back.
func (p *pool) put(c *connection) {
	if c != nil {
		c.used = time.Now()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		defer c.end()
		c = nil
	}
	p.slots <- c
}

// close ends the connections; one in use ends when its slot is given back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for range len(p.slots) {
		c := <-p.slots
		p.slots <- nil
		defer c.end()
	}
}

func (c *connection) usable(now time.Time) bool {
	return c != nil && !c.IsClosed() && now.Sub(c.used) < maxIdle && now.Sub(c.made) < maxLife
}

// end closes a connection, if there is one.
func (c *connection) end() {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}
