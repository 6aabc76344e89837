package gateway

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/config"
)

// Files are looked at twice a second and read again when they have changed and
// held still between two looks, so that a file being written is not read half
// done. Looking costs some system calls; notifications would be lost with
// folders that are replaced, with Kubernetes' subPath mounts, on network file
// systems, and when the system is out of watches.
const watchInterval = 500 * time.Millisecond

// fingerprint tells one state of the files from another. Links are followed,
// so that a `..data` that is swapped below a mounted folder shows.
func fingerprint(files []string) string {
	var b strings.Builder
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintf(&b, "%s: %d %d %v\n", name, info.Size(), info.ModTime().UnixNano(), inode(info))
		}
	}
	return b.String()
}

// watch reloads when a file changes, until ctx is done.
func (g *Gateway) watch(ctx context.Context) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	before := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := fingerprint(*g.watched.Load())
		if now != *g.read.Load() && now == before {
			_ = g.Reload(ctx) // logged and counted; what is in force stays
		}
		before = now
	}
}

// Reload reads the configuration again and puts it into force at once. When
// something is wrong with it nothing changes, and the error says what.
func (g *Gateway) Reload(ctx context.Context) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if g.load == nil {
		return fmt.Errorf("this gateway has no file to read its configuration from")
	}
	// Taken before reading: what changes while we read is read again.
	g.noteRead(*g.watched.Load())
	cfg, err := g.load()
	if err == nil {
		err = g.apply(ctx, cfg)
	}
	now := time.Now()
	g.metrics.Reloaded(err == nil, now)
	if err != nil {
		message := err.Error()
		g.reloadError.Store(&message)
		g.log.Error("the configuration was not accepted; the one before stays in force", "problems", strings.Split(message, "\n"))
		return err
	}
	g.reloadError.Store(nil)
	return nil
}

func (g *Gateway) noteRead(files []string) {
	print := fingerprint(files)
	g.read.Store(&print)
}

// apply builds the snapshot of a configuration and swaps it in.
func (g *Gateway) apply(ctx context.Context, cfg *config.Config) error {
	before := g.snapshot.Load()
	next, err := build(cfg, g.parts)
	if err == nil && before != nil { // the first is made before the store is open
		if err = g.parts.rings.load(ctx); err != nil {
			err = cfg.Problem("issuers", "a key ring cannot be read: %v", err)
		}
		g.parts.remotes.load(ctx)
	}
	g.parts.rings.settle(err == nil)
	g.parts.remotes.settle(err == nil)
	if err != nil {
		return err
	}
	for _, w := range next.warnings {
		g.log.Warn("configuration: " + w)
	}
	files := cfg.Files()
	if before == nil || !slices.Equal(files, *g.watched.Load()) {
		g.watched.Store(&files)
		g.noteRead(files)
	}
	g.log.Level.Set(level(cfg.Log.Level))
	g.list.set(cfg.Revocation)
	if s := cfg.TokenService; s != nil {
		_ = g.parts.hasher.SetLimit(s.LoginLimits.MaxConcurrentHashes) // the configuration has at least 1
	}
	g.snapshot.Store(next)
	g.loadedAt.Store(time.Now().UnixNano())
	g.metrics.Retain(names(cfg))
	if before != nil {
		if before.users != nil {
			before.users.Close()
		}
		g.log.Info("configuration reloaded", "routes", len(cfg.Routes), "issuers", len(cfg.Issuers))
		if late := fixed(before.config, cfg); len(late) > 0 {
			g.log.Warn("these settings take effect after a restart", "keys", late)
		}
	}
	return nil
}

// fixed names the changed settings that only a restart puts into force: what
// the listeners and the store were opened with.
func fixed(before, after *config.Config) []string {
	var late []string
	for _, s := range []struct {
		path          string
		before, after any
	}{
		{"server.listen", before.Server.Listen, after.Server.Listen},
		// Other certificates take effect at once.
		{"server.tls", before.Server.TLS.CertFile == "", after.Server.TLS.CertFile == ""},
		{"server.max_connections", before.Server.MaxConnections, after.Server.MaxConnections},
		{"server.h2c", before.Server.H2C, after.Server.H2C},
		{"server.read_header_timeout", before.Server.ReadHeaderTimeout, after.Server.ReadHeaderTimeout},
		{"server.idle_timeout", before.Server.IdleTimeout, after.Server.IdleTimeout},
		{"server.max_header_bytes", before.Server.MaxHeaderBytes, after.Server.MaxHeaderBytes},
		{"admin.listen", before.Admin.Listen, after.Admin.Listen},
		{"store", before.Store, after.Store},
		// The limit is in force at once; how often the store is asked is not.
		{"revocation.max_staleness", pollEvery(before.Revocation), pollEvery(after.Revocation)},
		{"revocation.max_memory", before.Revocation.MaxMemory, after.Revocation.MaxMemory},
		{"log.format", before.Log.Format, after.Log.Format},
	} {
		if !reflect.DeepEqual(s.before, s.after) {
			late = append(late, s.path)
		}
	}
	return late
}

func names(cfg *config.Config) (routes, issuers []string) {
	for _, r := range cfg.Routes {
		routes = append(routes, r.Name)
	}
	if s := cfg.TokenService; s != nil {
		for _, e := range s.Endpoints {
			routes = append(routes, e.Name)
		}
	}
	for _, i := range cfg.Issuers {
		issuers = append(issuers, i.Name)
	}
	return routes, issuers
}
