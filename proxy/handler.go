// Package proxy is the data plane: it takes a request, asks [auth.Gate] whether
// it may pass, and forwards it to the upstream of its route.
//
// A [Handler] lives as long as the process; what it goes by is a [State], one
// immutable value per configuration, which it loads once per request. Each
// request is an [Exchange], the one record that the log line, the metrics and
// the answer are made from.
//
// The package imports auth, proxy/wire and the standard library. It starts no
// goroutine that outlives a request; [Handler.Run] is run by the gateway.
package proxy

import (
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/auth"
	"gatehouse/proxy/wire"
)

// Config is what a Handler is made of.
type Config struct {
	State  func() *State // the configuration in force; asked once per request
	Log    *slog.Logger
	Access AccessLog        // written while Log takes lines of level Info
	Now    func() time.Time // nil: time.Now
}

// Handler answers every request that the gateway gets.
type Handler struct {
	state     func() *State
	log       *slog.Logger
	access    AccessLog
	now       func() time.Time
	transport transports
	proxy     *httputil.ReverseProxy
	ongoing   ongoing
	draining  atomic.Bool // each answer is the last of its connection
}

// Drain makes every answer from now on the last of its connection, so that
// clients are elsewhere before the listener closes.
func (h *Handler) Drain() { h.draining.Store(true) }

// New returns a Handler. It fails when a part of the configuration is missing.
func New(cfg Config) (*Handler, error) {
	if cfg.State == nil || cfg.Log == nil {
		return nil, errors.New("proxy: a handler needs a state and a log")
	}
	h := &Handler{state: cfg.State, log: cfg.Log, access: cfg.Access, now: cfg.Now}
	if h.now == nil {
		h.now = time.Now
	}
	h.ongoing.by = make(map[*Exchange]*State)
	h.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      &h.transport,
		ModifyResponse: modifyResponse,
		ErrorHandler:   upstreamFailed,
		BufferPool:     &buffers{},
		// ReverseProxy logs errors as they come, and they can quote what the
		// upstream sent. The Exchange logs what happened.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return h, nil
}

// ServeHTTP takes a request the whole way.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := newExchange(h.state(), r, h.now())
	x.handler, x.writer = h, w
	defer x.end()
	if p := x.admit(); p != nil {
		x.answer(p)
		return
	}
	credentials, p := x.credentials()
	if p != nil {
		x.answer(p)
		return
	}
	if x.decision = x.state.gate.Decide(x.route.Policy, credentials, x.start); x.decision.Open() {
		x.decision = x.state.gate.Resolve(r.Context(), x.route.Policy, credentials, x.start)
	}
	x.route.observer.Decision(x.decision.Reason)
	if x.route.Local != nil {
		x.local(credentials)
		return
	}
	if x.decision.Reason != auth.OK {
		x.answer(&problem{reason: x.decision.Reason})
		return
	}
	if p := x.limit(); p != nil {
		x.answer(p)
		return
	}
	x.reason = auth.OK
	x.forward()
}

// admit checks the request's form and finds its route. It returns what is
// wrong, nil when the request has a route.
func (x *Exchange) admit() *problem {
	table := x.state.table
	if fault := wire.CheckRequest(x.in); fault != nil {
		return &problem{reason: fault.Reason, status: fault.Status, allow: strings.Join(table.methods, ", "), detail: fault.Detail, hangup: true}
	}
	if !slices.Contains(table.methods, x.in.Method) {
		return &problem{reason: auth.MethodNotAllowed, allow: strings.Join(table.methods, ", ")}
	}
	path, ambiguous := canonicalPath(x.in.URL)
	if ambiguous != "" {
		return &problem{reason: auth.RequestMalformed, detail: "path: " + ambiguous, hangup: true}
	}
	x.path = path
	route, allow, reason := table.match(x.in.Method, x.in.Host, path)
	if reason != auth.OK {
		return &problem{reason: reason, allow: allow}
	}
	x.route = route
	x.upgrade = route.WebSocket && wantsWebSocket(x.in)
	return nil
}
