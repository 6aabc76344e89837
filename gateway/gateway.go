package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/admin"
	"gatehouse/auth"
	"gatehouse/auth/revocation"
	"gatehouse/auth/users"
	"gatehouse/config"
	"gatehouse/metrics"
	"gatehouse/proxy"
	"gatehouse/proxy/wire"
	"gatehouse/store"
)

// Build is what is running.
type Build struct {
	Version string
	Commit  string
}

// Config is what a Gateway is made of. Load may be nil: then it never reloads.
type Config struct {
	Config *config.Config                 // to begin with
	Load   func() (*config.Config, error) // reads it again
	Log    *Log
	Build  Build
	// HashCommand is the command line of a process that runs users.ServeHashes,
	// with the program's path in front. Empty: passwords are hashed in this
	// process.
	HashCommand []string
}

// Gateway is one running process's worth of gatehouse.
type Gateway struct {
	load    func() (*config.Config, error)
	log     *Log
	build   Build
	started time.Time

	metrics *metrics.Metrics
	store   *store.Store
	list    *list
	feeds   []*revocation.Feed // one for each shard of the list
	parts   parts

	handler     *proxy.Handler
	dataSocket  net.Listener
	adminSocket net.Listener
	dataServer  *http.Server
	adminServer *http.Server
	snapshot    atomic.Pointer[snapshot]
	loadedAt    atomic.Int64 // Unix nanoseconds
	draining    atomic.Bool
	reloading   sync.Mutex // held while a configuration is read and put into force
	reloadError atomic.Pointer[string]
	watched     atomic.Pointer[[]string]
	read        atomic.Pointer[string] // the fingerprint of the files as they were read
}

// New opens the store, builds the first snapshot and binds the listeners;
// nothing is served before Run. The error is config.Problems, or says what to
// do. A store in Redis may be down: then the gateway starts, is not ready, and
// becomes so when the store is back.
func New(ctx context.Context, cfg Config) (*Gateway, error) {
	g := &Gateway{load: cfg.Load, log: cfg.Log, build: cfg.Build, started: time.Now()}
	var err error
	g.list, err = newList(cfg.Config.Store.RevocationShards, revocation.MirrorConfig{
		MaxBytes:  int(cfg.Config.Revocation.MaxMemory),
		Confirmed: func(c auth.Coverage) { g.metrics.Confirmed(c) },
	})
	if err != nil {
		return nil, cfg.Config.Problem("store.revocation_shards", "%v", err)
	}
	g.metrics = metrics.New(g.metricsConfig())
	hasher, err := newHasher(cfg)
	if err != nil {
		return nil, err
	}
	opened := &tokenStore{}
	g.parts = parts{
		list: g.list, stored: &auth.StoredAPIKeys{}, store: opened, rings: newRings(opened, g.log.Logger), remotes: newRemotes(opened, g.log.Logger), hasher: hasher,
		observer: func(route string) proxy.Observer { return g.metrics.Route(route) },
		renewal:  g.metrics.Renewal, introspected: g.metrics.Introspection, grant: g.metrics.Grant, replayed: g.metrics.Replayed, log: g.log.Logger,
	}
	if err := g.apply(ctx, cfg.Config); err != nil {
		return nil, err
	}
	g.metrics.Reloaded(true, g.started)
	if g.handler, err = proxy.New(proxy.Config{State: func() *proxy.State { return g.snapshot.Load().state }, Log: g.log.Logger, Access: g.log.Access()}); err != nil {
		return nil, err
	}
	if g.dataSocket, g.adminSocket, err = listen(cfg.Config); err != nil {
		return nil, err
	}
	if err := g.open(ctx, cfg.Config); err != nil {
		_ = g.dataSocket.Close()
		_ = g.adminSocket.Close()
		if g.store != nil {
			_ = g.store.Close()
		}
		return nil, err
	}
	return g, nil
}

// newHasher returns one with the least limit, until a configuration says another.
func newHasher(cfg Config) (*users.Hasher, error) {
	hc := users.HasherConfig{Limit: 1}
	if len(cfg.HashCommand) > 0 {
		var err error
		if hc.Process, err = users.NewProcess(users.ProcessConfig{Command: cfg.HashCommand, Log: cfg.Log.Logger}); err != nil {
			return nil, err
		}
	}
	return users.NewHasher(hc)
}

// open opens the store and makes what depends on it.
func (g *Gateway) open(ctx context.Context, cfg *config.Config) (err error) {
	sc, err := storeConfig(cfg, g.log.Logger)
	if err != nil {
		return err
	}
	sc.Own = true
	sc.Observe = g.metrics.Store
	if g.store, err = store.Open(ctx, sc); err != nil {
		if shards := (*revocation.ShardsError)(nil); errors.As(err, &shards) {
			return cfg.Problem("store.revocation_shards", "%v", shards)
		}
		return cfg.Problem("store.url", "%s", strings.TrimPrefix(err.Error(), "store.url: "))
	}
	g.parts.store.Store = g.store
	sources := g.store.Sources()
	for i, source := range sources {
		fc := revocation.FeedConfig{
			Source: source, Mirror: g.list.Mirrors[i], Mirrors: g.list.Mirrors, Log: g.log.Logger, Propagation: g.metrics.Propagated,
		}
		if len(sources) > 1 {
			fc.Log = g.log.With("shard", i)
		}
		if fc.Keys = g.parts.stored; i > 0 {
			fc.Keys = &auth.StoredAPIKeys{} // they are in the first shard alone
		}
		feed, err := revocation.NewFeed(fc)
		if err != nil {
			return err
		}
		g.feeds = append(g.feeds, feed)
	}
	handler, err := admin.New(admin.Config{
		TokenSHA256: func() [32]byte { return g.snapshot.Load().adminToken },
		Hosts:       adminHosts(cfg.Admin.Listen),
		Metrics:     g.metrics.Handler(),
		Instance:    (*instance)(g), Config: (*configuration)(g), Revocations: &revoker{g.parts.store, g.list}, Keys: g.store,
		Sessions: g.store, List: g.list,
		Reload: g, Explain: (*explainer)(g), Log: g.log.Logger, Now: time.Now,
	})
	if err != nil {
		return err
	}
	return g.servers(cfg, handler)
}

// adminHosts are the names by which the admin listener may be called besides
// addresses and local names: the one in its address, and the machine's own.
func adminHosts(address string) []string {
	var hosts []string
	if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	if host, err := os.Hostname(); err == nil {
		hosts = append(hosts, host)
	}
	return hosts
}

// servers makes the two HTTP servers. The data server has no WriteTimeout: an
// answer may take as long as it makes progress.
func (g *Gateway) servers(cfg *config.Config, adminHandler http.Handler) error {
	quiet := slog.NewLogLogger(g.log.Handler(), slog.LevelDebug)
	wc := wire.Config{
		MaxHeaderBytes: int(cfg.Server.MaxHeaderBytes), ReadHeaderTimeout: cfg.Server.ReadHeaderTimeout.Std(), Log: g.log.Logger,
		MaxConnections: cfg.Server.MaxConnections, H2C: cfg.Server.H2C,
	}
	if t := g.snapshot.Load().tls; t != nil {
		wc.TLS = t.Clone()
		wc.TLS.GetConfigForClient = g.currentTLS
	}
	checked, err := wire.NewListener(g.dataSocket, wc)
	if err != nil {
		return err
	}
	g.dataSocket = checked
	g.dataServer = &http.Server{
		Handler: g.handler, ConnContext: proxy.ConnContext, ConnState: wire.ConnState,
		ReadHeaderTimeout: cfg.Server.ReadHeaderTimeout.Std(), IdleTimeout: cfg.Server.IdleTimeout.Std(),
		MaxHeaderBytes: int(cfg.Server.MaxHeaderBytes), DisableGeneralOptionsHandler: true, ErrorLog: quiet,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 100}, Protocols: protocols(cfg.Server.H2C),
	}
	g.adminServer = &http.Server{
		Handler: adminHandler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: quiet,
	}
	return nil
}

// protocols are what clients may speak. HTTP/2 is agreed on by TLS; without it
// the client must know.
func protocols(h2c bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(h2c)
	return &p
}

// Addr is the address of the data listener.
func (g *Gateway) Addr() net.Addr { return g.dataSocket.Addr() }

// AdminAddr is the address of the admin listener.
func (g *Gateway) AdminAddr() net.Addr { return g.adminSocket.Addr() }

func (g *Gateway) metricsConfig() metrics.Config {
	return metrics.Config{
		Version: g.build.Version, Commit: g.build.Commit, StoreOperations: store.Operations(),
		Revocations:   func(k auth.Kind) int { return g.list.Len()[k] },
		RevocationAge: g.list.Age, FilterBits: g.list.FilterBits,
		LogDropped: g.log.Dropped,
		IssuerKeys: func(now time.Time) []metrics.IssuerKeys {
			var all []metrics.IssuerKeys
			for _, i := range g.snapshot.Load().issuers {
				if i.Introspection != nil {
					continue // it has none, which is as it should be
				}
				k := metrics.IssuerKeys{Issuer: i.Name, Keys: len(i.Keys.All()), Age: now.Sub(time.Unix(0, g.loadedAt.Load()))}
				if remote := published(i.Keys); remote != nil {
					k.Age, k.Skipped = remote.Age(now), remote.Skipped()
				}
				all = append(all, k)
			}
			return all
		},
	}
}
