// Package introspection asks issuers about tokens that only they can read (RFC
// 7662). What they say of good ones is remembered by [auth.Gate], and checked
// there; here is remembered, briefly and apart from those, which tokens are not.
// It imports auth, auth/outbound and the standard library. Each call has a
// goroutine of its own, which ends within Config.Timeout: the request that needed
// it first may be gone before others that wait for it.
package introspection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/outbound"
)

// Config configures a [Client]. All but Cache, TLS and Now must be set.
type Config struct {
	Issuer       string // its configured name
	URL          string // of its introspection endpoint: https, or http on loopback
	ClientID     string // what we are registered there as
	ClientSecret string
	Timeout      time.Duration // of one call, connecting included
	Cache        time.Duration // how long an answer counts, at most; 0: for the request that it was asked for
	MaxCalls     int           // that may be under way at once; what would need more fails
	TLS          *tls.Config   // whom to believe; nil: the system's authorities
	Observe      func(result auth.IntrospectionResult, took time.Duration)
	Log          *slog.Logger
	Now          func() time.Time // nil: time.Now
}

// Client asks one issuer. Any number of requests may use it.
type Client struct {
	cfg    Config
	client *http.Client

	mu       sync.Mutex
	calls    map[string]*call // under way, by token
	inactive inactive
	trouble  trouble
}

var _ auth.Introspection = (*Client)(nil)

// call is one that several requests may wait for.
type call struct {
	done   chan struct{} // closed when the rest is set
	answer *auth.Introspected
	err    error
}

// New returns a client that has not asked yet. It refuses a URL that is neither
// https nor on loopback: whoever can change the answer can be anybody.
func New(cfg Config) (*Client, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.Issuer == "" || cfg.ClientID == "" || cfg.ClientSecret == "" || cfg.Observe == nil || cfg.Log == nil:
		return nil, errors.New("introspection: Issuer, ClientID, ClientSecret, Observe and Log are needed")
	case cfg.Timeout <= 0 || cfg.MaxCalls <= 0 || cfg.Cache < 0:
		return nil, errors.New("introspection: Timeout and MaxCalls must be above 0, Cache at least 0")
	}
	if _, err := outbound.CheckURL(cfg.URL); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, client: outbound.NewClient(cfg.TLS, cfg.Timeout, cfg.MaxCalls), calls: map[string]*call{}}, nil
}

// Inactive implements [auth.Introspection].
func (c *Client) Inactive(token string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inactive.has(token, now)
}

// Failing reports whether the last call came to nothing.
func (c *Client) Failing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trouble.failing
}

// Ask implements [auth.Introspection]. Requests with one token wait for one call.
func (c *Client) Ask(ctx context.Context, token string) (*auth.Introspected, error) {
	c.mu.Lock()
	one, begun := c.calls[token]
	if !begun && len(c.calls) >= c.cfg.MaxCalls {
		err := fmt.Errorf("%d calls are under way, which is introspection.max_concurrent", len(c.calls))
		c.trouble.busy(&c.cfg, err)
		c.mu.Unlock()
		c.cfg.Observe(auth.IntrospectionBusy, 0)
		return nil, err
	}
	if !begun {
		one = &call{done: make(chan struct{})}
		c.calls[token] = one
	}
	c.mu.Unlock()
	if !begun {
		go c.make(context.WithoutCancel(ctx), token, one)
	}
	select {
	case <-one.done:
		return one.answer, one.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// make makes the call and tells those who wait for it.
func (c *Client) make(ctx context.Context, token string, one *call) {
	result, began := auth.IntrospectionFailed, c.cfg.Now()
	defer func() {
		if p := recover(); p != nil { // what others send must not end the process
			one.answer, one.err = nil, fmt.Errorf("the call failed: %v", p)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if result == auth.IntrospectionInactive {
			c.inactive.add(token, began.Add(min(c.cfg.Cache, inactiveFor)))
		}
		c.trouble.note(&c.cfg, one.err)
		delete(c.calls, token)
		close(one.done)
	}()
	answer, err := c.ask(ctx, token)
	if one.err = err; err == nil {
		answer.Until = began.Add(c.cfg.Cache).Unix()
		one.answer, result = answer, auth.IntrospectionInactive
		if answer.Active {
			result = auth.IntrospectionActive
		}
	}
	c.cfg.Observe(result, c.cfg.Now().Sub(began))
}
