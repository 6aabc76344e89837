package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse/auth"
	"gatehouse/proxy/transport"
)

// The transport's bounds. A route's timeout bounds the rest.
const (
	dialTimeout        = 5 * time.Second
	idleTimeout        = 90 * time.Second
	pingAfter          = 15 * time.Second // without a word on an HTTP/2 connection in use
	pingTimeout        = 15 * time.Second
	maxIdlePerUpstream = 1024
	maxResponseHeader  = 64 << 10 // bytes
	copyBufferSize     = 32 << 10 // bytes
)

// transports are the ways to the upstreams: one way, with its kept connections,
// for each timeout and each TLS configuration that a route has. They outlive
// configurations.
type transports struct {
	mu sync.Mutex // held when a route is used for the first time
	by map[wayKey]*way
}

// wayKey tells ways apart.
type wayKey struct {
	timeout time.Duration
	tls     string // the ID of the route's UpstreamTLS, empty: it has none
}

func (r *Route) wayKey() wayKey {
	if r.TLS == nil {
		return wayKey{timeout: r.Timeout}
	}
	return wayKey{r.Timeout, r.TLS.ID}
}

// RoundTrip takes the way of the request's route.
func (t *transports) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	w := x.route.way.Load()
	if w == nil {
		var err error
		if w, err = t.of(x.route.Route, x.state.table); err != nil {
			return nil, err
		}
		x.route.way.Store(w)
	}
	if transport.Takes(r) {
		if r.Body == nil {
			x.sent = r.Header // nobody but this goroutine has it
		}
		return w.plain.RoundTrip(r)
	}
	if r.Body != nil {
		r.Body = &x.body // ReverseProxy's own keeps Close to itself, for which HTTP/2 waits
	}
	if r.URL.Scheme == "h2c" {
		r.URL.Scheme = "http" // net/http has no name for it; the URL is the request's own
		return w.h2c.RoundTrip(r)
	}
	return w.other.RoundTrip(r)
}

// of returns the way of a route. One that no route of the table has any more,
// because a certificate was replaced, is forgotten when another comes.
func (t *transports) of(r *Route, table *Table) (*way, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := r.wayKey()
	if w := t.by[key]; w != nil {
		return w, nil
	}
	w, err := newWay(r.Timeout, r.TLS)
	if err != nil {
		return nil, err
	}
	if t.by == nil {
		t.by = make(map[wayKey]*way)
	}
	for old, w := range t.by {
		if !slices.ContainsFunc(table.routes, func(s *served) bool { return s.wayKey() == old }) {
			w.closeIdleConnections()
			delete(t.by, old)
		}
	}
	t.by[key] = w
	return w, nil
}

// CloseIdleConnections closes what is kept open and not in use.
func (t *transports) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.by {
		w.closeIdleConnections()
	}
}

// way is how requests get to upstreams.
type way struct {
	plain *transport.Transport // what it takes
	other *http.Transport      // TLS, with HTTP/2 where the upstream has it, and upgrades
	h2c   *http.Transport      // HTTP/2 without TLS
}

func (w *way) closeIdleConnections() {
	w.plain.CloseIdleConnections()
	w.other.CloseIdleConnections()
	w.h2c.CloseIdleConnections()
}

// newWay returns a way that waits so long for the header of an answer, counted
// from the end of the request; zero: without end.
//
// It asks no environment for a proxy, does not ask for compression that the
// client did not ask for, and keeps enough connections open that none is made
// for each request under load. Either transport sends a request again when a
// kept connection turns out to be dead before any of the answer came and the
// request has no body and an idempotent method (RFC 9110 §9.2.2), or nothing of
// it was written yet.
func newWay(timeout time.Duration, secure *UpstreamTLS) (*way, error) {
	connecting := dialTimeout
	if timeout > 0 {
		connecting = min(timeout, dialTimeout)
	}
	dialer := &net.Dialer{Timeout: connecting, KeepAlive: 30 * time.Second}
	plain, err := transport.New(transport.Config{
		Dial:           dialer.DialContext,
		HeaderTimeout:  timeout,
		MaxHeaderBytes: maxResponseHeader,
		MaxIdlePerHost: maxIdlePerUpstream,
		IdleTimeout:    idleTimeout,
	})
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if secure != nil {
		config = secure.Config
	}
	speaking := func(protocols http.Protocols) *http.Transport {
		return &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        config.Clone(), // which the transport changes
			TLSHandshakeTimeout:    connecting,
			ResponseHeaderTimeout:  timeout,
			MaxIdleConnsPerHost:    maxIdlePerUpstream,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxResponseHeader,
			DisableCompression:     true,
			Protocols:              &protocols,
			// Many requests share a connection: one that is dead must not keep them
			// waiting until the kernel gives it up.
			HTTP2: &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		}
	}
	var other, h2c http.Protocols
	other.SetHTTP1(true)
	other.SetHTTP2(true)
	h2c.SetUnencryptedHTTP2(true)
	return &way{plain, speaking(other), speaking(h2c)}, err
}

// forward sends the request to an upstream and its answer back. ReverseProxy
// gets a request with the upstream's URL and no header: cloning the client's,
// to take most of it away again, would cost more than making the upstream's
// anew (see rewrite).
func (x *Exchange) forward() {
	var ctx context.Context = (*exchangeContext)(x)
	// The transport bounds the wait behind a request. A request with a body
	// can come to a halt before that.
	limited := x.in.ContentLength != 0 && x.route.Timeout > 0
	if x.upgrade || x.in.ContentLength != 0 {
		ctx, x.cancel = context.WithCancel(context.WithValue(x.in.Context(), exchangeKey{}, x))
	}
	if limited {
		x.wait.begin(x.route.Timeout, x.cancel)
	}
	out := x.in.WithContext(ctx)
	out.URL, out.Header, out.Trailer = x.route.balancer.next(), nil, nil
	if x.in.ContentLength != 0 {
		x.body.begin(x)
		out.Body = &x.body
	}
	x.handler.proxy.ServeHTTP(x, out)
	if x.sent != nil {
		reuse(x.sent)
	}
	if x.trailer != nil && len(x.trailer.Trailer) > 0 {
		x.state.names.scrub(x.Header())
	}
}

// upstreamFailed answers when there is no answer of the upstream's to forward.
func upstreamFailed(w http.ResponseWriter, _ *http.Request, err error) {
	x := w.(*Exchange)
	x.answer(x.classify(err))
}

// classify tells whose fault a failed forwarding is: the client's, if the body
// could not be read or nobody is waiting any more, else the upstream's.
func (x *Exchange) classify(err error) *problem {
	if x.in.Context().Err() != nil {
		x.body.settle()
	}
	if p := x.body.fault.Load(); p != nil {
		return p
	}
	if x.in.Context().Err() != nil {
		return &problem{reason: auth.ClientClosed}
	}
	var operation *net.OpError
	var network net.Error
	switch timeout := errors.As(err, &network) && network.Timeout(); {
	case timeout && errors.As(err, &operation): // while connecting
		return &problem{reason: auth.UpstreamTimeout, detail: describeError(err)}
	case timeout, x.wait.expired():
		return &problem{reason: auth.UpstreamTimeout, detail: "no response header within the route's timeout"}
	}
	return &problem{reason: auth.UpstreamUnavailable, detail: describeError(err)}
}

// describeError says what failed. Of errors that may quote what the upstream
// sent only the kind is told.
func describeError(err error) string {
	var operation *net.OpError
	var certificate *tls.CertificateVerificationError
	var protocol errUpstream
	switch {
	case errors.As(err, &operation):
		return operation.Error()
	case errors.As(err, &certificate):
		return certificate.Error()
	case errors.As(err, &protocol):
		return protocol.Error()
	}
	return "the upstream's answer could not be read: it broke off, or is not HTTP of the version that was spoken to it"
}

// errUpstream is what we find wrong with an upstream's answer.
type errUpstream string

func (e errUpstream) Error() string { return string(e) }

// buffers is the pool of the buffers through which answers are copied.
type buffers struct{ pool sync.Pool }

func (p *buffers) Get() []byte {
	if b, ok := p.pool.Get().(*[copyBufferSize]byte); ok {
		return b[:]
	}
	return make([]byte, copyBufferSize)
}

func (p *buffers) Put(b []byte) { p.pool.Put((*[copyBufferSize]byte)(b)) }
