package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/auth/token"
)

// PostgresConfig configures a Postgres source. All but MaxConnections must be
// set.
type PostgresConfig struct {
	Name string
	// URL is postgres://user:password@host:5432/database, with libpq's
	// parameters; its environment variables (PGPASSWORD, say) fill in what it
	// leaves out.
	URL string
	// Query is any that returns the columns id and password_hash for the user
	// whose canonical name is $1, and if it likes email, disabled and claims (a
	// JSON object); each of those three may be null. One row or none.
	Query string
	// Timeout is what the server may take for the query (statement_timeout,
	// which a connection pooler in between must let through). A quarter of a
	// second more is what the whole look-up may take, connecting and waiting
	// for a connection included.
	Timeout        time.Duration
	MaxConnections int // at once; 0: 4
	Log            *slog.Logger
}

// cutOff is how long after the server we give a query up: a statement that the
// server ends does not cost the connection.
const cutOff = 250 * time.Millisecond

// maxRowBytes bounds a message of the server, and so a user.
const maxRowBytes = 1 << 20

// Postgres is a database with users in it. It is connected to when it is first
// needed, so that one which is down keeps nothing from starting.
type Postgres struct {
	cfg     PostgresConfig
	pool    *pool
	ignored sync.Once // columns, told once
}

var _ lookup = (*Postgres)(nil)

// NewPostgres returns a source. It fails when the configuration is wrong; the
// error has no part of the URL.
func NewPostgres(cfg PostgresConfig) (*Postgres, error) {
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 4
	}
	switch {
	case cfg.Name == "" || cfg.Log == nil || cfg.Timeout <= 0 || cfg.MaxConnections < 0:
		return nil, errors.New("users: PostgreSQL needs a name, a timeout and a log")
	case !strings.Contains(cfg.Query, "$1"):
		return nil, errors.New("users: the query for PostgreSQL has no $1, which stands for the user's name")
	case !strings.HasPrefix(cfg.URL, "postgres://") && !strings.HasPrefix(cfg.URL, "postgresql://"):
		return nil, errors.New("users: the URL of PostgreSQL must begin with postgres://")
	}
	c, err := pgconn.ParseConfig(cfg.URL)
	if err != nil { // which may show the password
		return nil, errors.New("users: the URL of PostgreSQL cannot be read: write it as postgres://user:password@host:5432/database, and signs in the password as %40")
	}
	c.MaxProtocolMessageBodyLen = maxRowBytes
	for name, value := range map[string]string{
		"statement_timeout": strconv.FormatInt(max(1, cfg.Timeout.Milliseconds()), 10),
		"application_name":  "gatehouse",
	} {
		if c.RuntimeParams[name] == "" {
			c.RuntimeParams[name] = value
		}
	}
	return &Postgres{cfg: cfg, pool: newPool(c, cfg.MaxConnections)}, nil
}

// Name implements Source.
func (p *Postgres) Name() string { return p.cfg.Name }

// Close closes the connections; those in use when they are free.
func (p *Postgres) Close() { p.pool.close() }

// hashes are not known; the URL has the password of the database in it.
func (p *Postgres) hashes() (all []PasswordHash, secret string) { return nil, p.cfg.URL }

func (p *Postgres) reread(ctx context.Context, s token.Session) (Record, error) {
	return p.find(ctx, s.Username)
}

func (p *Postgres) find(ctx context.Context, username string) (Record, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout+cutOff)
	defer cancel()
	var r Record
	err := p.pool.do(ctx, func(c *pgconn.PgConn) (err error) {
		r, err = p.query(ctx, c, username)
		return err
	})
	return r, err
}

// query has the server find out the types of the parameter and the columns, and
// write all of them as text; nothing is prepared, which poolers would not keep.
func (p *Postgres) query(ctx context.Context, c *pgconn.PgConn, username string) (Record, error) {
	result := c.ExecParams(ctx, p.cfg.Query, [][]byte{[]byte(username)}, nil, nil, nil)
	names := make([]string, 0, 5)
	for _, f := range result.FieldDescriptions() {
		names = append(names, f.Name)
	}
	var row map[string][]byte
	rows := 0
	for ; result.NextRow(); rows++ {
		if rows == 0 {
			row = make(map[string][]byte, len(names))
			for i, v := range result.Values() {
				if v != nil {
					row[strings.ToLower(names[i])] = append([]byte{}, v...)
				}
			}
		}
	}
	if _, err := result.Close(); err != nil {
		return Record{}, err
	}
	if err := p.checkColumns(names); err != nil {
		return Record{}, err
	}
	switch rows {
	case 0:
		return Record{}, errUnknown
	case 1:
		return recordOf(row)
	}
	return Record{}, fmt.Errorf("the query returned %d users for one name: it must return one at most", rows)
}
