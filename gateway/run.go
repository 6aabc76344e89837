package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Run serves until ctx is done, then drains: it is not ready any more, waits
// for load balancers to notice, stops accepting, finishes the requests under
// way, and ends connections that outlive a request. It returns nil after a
// clean drain. It may be called once.
func (g *Gateway) Run(ctx context.Context) error {
	// What serves requests outlives ctx, which only begins the drain.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed, cancel := context.WithCancel(ctx)
	defer cancel()
	group, background := errgroup.WithContext(background)
	start := func(run func() error) {
		group.Go(func() error {
			defer cancel() // when one ends by itself, all end
			return run()
		})
	}
	start(func() error { return closed(g.adminServer.Serve(g.adminSocket)) })
	start(func() error { return closed(g.dataServer.Serve(g.dataSocket)) })
	for _, feed := range g.feeds {
		start(func() error { return feed.Run(background) })
	}
	start(func() error { return g.handler.Run(background) })
	start(func() error { return g.parts.rings.Run(background) })
	start(func() error { return g.parts.remotes.Run(background) })
	if g.load != nil {
		start(func() error { return g.watch(background) })
	}
	<-failed.Done()
	err := g.drain()
	stop()
	err = errors.Join(err, g.adminServer.Close(), group.Wait())
	if d := g.snapshot.Load().users; d != nil {
		d.Close()
	}
	g.parts.hasher.Close()
	return errors.Join(err, g.store.Close())
}

// drain ends the data listener's work.
func (g *Gateway) drain() error {
	server := g.snapshot.Load().config.Server
	g.draining.Store(true)
	g.handler.Drain()
	g.log.Info("draining", "delay", server.DrainDelay.String(), "timeout", server.DrainTimeout.String())
	time.Sleep(server.DrainDelay.Std())
	ctx, cancel := context.WithTimeout(context.Background(), server.DrainTimeout.Std())
	defer cancel()
	if err := g.dataServer.Shutdown(ctx); err != nil {
		_ = g.dataServer.Close()
		return fmt.Errorf("requests were still under way after drain_timeout (%s) and were cut off", server.DrainTimeout)
	}
	return nil
}

// closed takes the error away that every server ends with.
func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// currentTLS gives a new connection the certificate of the configuration that
// is in force.
func (g *Gateway) currentTLS(*tls.ClientHelloInfo) (*tls.Config, error) {
	return g.snapshot.Load().tls, nil // nil, after TLS was switched off: the one from the start
}
