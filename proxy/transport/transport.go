// Package transport sends requests to plain HTTP/1.1 servers in the goroutine
// that asks for it, where http.Transport hands each to a pair of goroutines
// that it keeps for each connection. What is here is connections: which one is
// used, when it may be used again, and how waiting on it ends. Messages are
// written and read by net/http's own codec, but for the two that are nearly all
// there is: a request without a body (head.go), and an answer with a length
// (answer.go). Whatever is unusual about either is left to the codec.
//
// It keeps the promises that http.Transport keeps, and one test suite holds
// both to them. TLS, HTTP/2 and upgrades are left to http.Transport (see
// [Takes]).
//
// It imports the standard library only. It starts a goroutine to send a body,
// because the answer can come before its end, and one when a request is
// cancelled. Neither outlives its request by more than a read of that body.
package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Config is what a Transport is made of.
type Config struct {
	// Dial opens connections, and bounds the time that this takes.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// HeaderTimeout bounds the wait for an answer's final header, counted from
	// the end of the request; 0: no bound.
	HeaderTimeout time.Duration
	// MaxHeaderBytes bounds the header of an answer, and by itself each
	// informational one of which the request's trace is told.
	MaxHeaderBytes int64
	MaxIdlePerHost int           // connections that are kept while not in use
	IdleTimeout    time.Duration // for how long they are
}

// Transport is an http.RoundTripper with a pool of connections.
type Transport struct {
	cfg Config

	mu    sync.Mutex         // never held while anything is waited for
	idle  map[string][]*conn // by the URL's host and port; the one used last at the end
	sweep *time.Timer        // closes those not used for long; nil: none is idle
}

// New returns a Transport. It fails when a part of the configuration is
// missing.
func New(cfg Config) (*Transport, error) {
	if cfg.Dial == nil || cfg.MaxHeaderBytes <= 0 || cfg.IdleTimeout <= 0 {
		return nil, errors.New("transport: want a way to dial, and bounds for headers and for idle connections")
	}
	return &Transport{cfg: cfg, idle: make(map[string][]*conn)}, nil
}

// Takes reports whether a Transport can carry the request: plain HTTP to a host
// that can be dialled as it is written, and no upgrade.
func Takes(r *http.Request) bool {
	return r.URL.Scheme == "http" && r.Header["Upgrade"] == nil && isASCII(r.URL.Host)
}

// RoundTrip implements http.RoundTripper.
//
// A request is sent again, once and on a new connection, when a kept connection
// broke before anything of the answer came, the request has no body, and either
// nothing of it was written or it may be repeated (RFC 9110 §9.2.2).
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	room := heads.Get().(*[]byte)
	defer heads.Put(room)
	head, err := appendRequest((*room)[:0], r)
	*room = head
	if err == nil {
		err = context.Cause(r.Context())
	}
	if err != nil {
		closeBody(r)
		return nil, err
	}
	for c := t.take(r.URL.Host); c != nil; c = t.take(r.URL.Host) {
		if r.Body != nil && r.Body != http.NoBody && !c.quiet() {
			c.abort()
			continue
		}
		res, again, err := t.exchange(c, r, head)
		if err == errStale {
			continue
		}
		if !again {
			return res, err
		}
		break
	}
	c, err := t.dial(r.Context(), r.URL)
	if err != nil {
		closeBody(r)
		return nil, err
	}
	res, _, err := t.exchange(c, r, head)
	return res, err
}

// dial opens a connection in the goroutine of the request that needs it.
func (t *Transport) dial(ctx context.Context, u *url.URL) (*conn, error) {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	nc, err := t.cfg.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return newConn(u.Host, nc), nil
}

// CloseIdleConnections closes what is kept open and not in use.
func (t *Transport) CloseIdleConnections() { t.closeIdleSince(time.Time{}) }
