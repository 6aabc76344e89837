package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"gatehouse/auth"
	"gatehouse/proxy/wire"
)

// Observer counts what happens on one route.
type Observer interface {
	// Request counts an answered request; took goes from its head to the end
	// of its answer.
	Request(method string, status int, took time.Duration)
	// Decision counts a decision about credentials.
	Decision(auth.Reason)
	// Upstream counts how long the upstream took to its final response header.
	Upstream(took time.Duration)
}

// Exchange is one request and its answer: the one record that everything about
// it is kept in, and the ResponseWriter through which the answer goes.
type Exchange struct {
	handler *Handler
	state   *State
	in      *http.Request // never changed: net/http goes on using it
	writer  http.ResponseWriter
	start   time.Time

	id      string
	peer    netip.Addr // of the connection; invalid when it has none
	client  netip.Addr // who sent the request, as far as can be believed
	trusted bool       // the peer is a trusted proxy

	path        canonical
	route       *served // nil: none matched
	upgrade     bool    // a WebSocket is wanted and allowed
	decision    auth.Decision
	certificate *auth.Certificate // the client's; nil: none that counts
	cookie      string            // name of the cookie that the token came in; empty: it did not
	outcome     auth.Outcome      // where the answer was made here
	body        requestBody
	wait        headerWait
	passed      atomic.Int64       // when something did last, in Unix nanoseconds; kept while it is watched
	cut         func()             // ends it from outside; nil: it is not watched
	cancel      context.CancelFunc // ends the upstream's side; nil: nothing needs to
	rewritten   bool               // ReverseProxy has asked for the upstream's request
	sent        http.Header        // of the upstream's request, where it can be used again; nil: it cannot
	upstream    time.Duration      // to the final response header; 0: none came
	trailer     *http.Response     // whose trailers may come behind the body

	status int // of the final answer; 0: not begun
	bytes  int64
	reason auth.Reason // OK, or what the answer says, or why it broke off
	detail string      // more about the reason, for the log

	// values are header values that are new for each request. They are kept
	// here so that they need no allocation of their own.
	values struct{ requestID, forwardedFor, forwardedHost, forwardedProto [1]string }
}

func newExchange(s *State, r *http.Request, now time.Time) *Exchange {
	x := &Exchange{state: s, in: r, start: now}
	x.identifyClient()
	x.id = x.requestID()
	x.values.requestID[0] = x.id
	return x
}

// requestID is the client's when a trusted proxy passes it on, else a new one
// of 128 bits. The generator is the runtime's, seeded by the system: ids must
// not collide, but they open nothing, so that asking the system for each would
// be wasted.
func (x *Exchange) requestID() string {
	if lines := x.in.Header["X-Request-Id"]; x.trusted && len(lines) == 1 && isRequestID(lines[0]) {
		return lines[0]
	}
	var b [32]byte
	for i := range 2 {
		for j, n := 0, rand.Uint64(); j < 16; j, n = j+1, n>>4 {
			b[16*i+j] = "0123456789abcdef"[n&0xf]
		}
	}
	return string(b[:])
}

func isRequestID(id string) bool {
	for i := 0; i < len(id); i++ {
		if !unreserved[id[i]] || id[i] == '~' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 128
}

// Header is the answer's; with WriteHeader and Write it makes an Exchange a
// ResponseWriter.
func (x *Exchange) Header() http.Header { return x.writer.Header() }

// WriteHeader passes the status on, and of informational ones (RFC 9110 §15.2)
// those that are the client's business: 100 is between us and each side, and
// HTTP/1.0 knows none.
func (x *Exchange) WriteHeader(status int) {
	if status < 200 {
		if status == http.StatusContinue || !x.in.ProtoAtLeast(1, 1) {
			return
		}
		x.state.names.scrub(x.Header())
		x.limitWrite() // of HTTP/1 it goes out at once
		defer x.unlimitWrite()
	} else {
		x.status = status
		if x.handler.draining.Load() { // net/http makes a GOAWAY of it in HTTP/2
			x.Header()["Connection"] = []string{"close"}
		}
	}
	x.writer.WriteHeader(status)
}

// Write bounds the time in which the client takes nothing: also the first write,
// which has to wait where a client takes none of the answers before it.
func (x *Exchange) Write(b []byte) (int, error) {
	x.limitWrite()
	defer x.unlimitWrite()
	n, err := x.writer.Write(b)
	x.bytes += int64(n)
	if x.cut != nil {
		x.pass()
	}
	return n, err
}

// FlushError is for http.ResponseController. Over HTTP/2 it is the flush that
// waits for the client.
func (x *Exchange) FlushError() error {
	x.limitWrite()
	defer x.unlimitWrite()
	return http.NewResponseController(x.writer).Flush()
}

// limitWrite gives the client so much time to take something. Where there is no
// connection, as in tests, it does nothing.
func (x *Exchange) limitWrite() {
	if idle := x.state.writeIdle; idle > 0 {
		_ = http.NewResponseController(x.writer).SetWriteDeadline(time.Now().Add(idle))
	}
}

// unlimitWrite ends that. The deadline of an HTTP/2 stream resets the stream
// although nothing waits to be written, as in an event stream without news. With
// TLS a read may have to write, when the client wants new keys (RFC 8446 §4.6.3):
// if that fails, so does all that is written later. Otherwise the deadline of an
// HTTP/1 connection can stay: it harms writes alone, and net/http takes it off when
// the request is over.
func (x *Exchange) unlimitWrite() {
	if x.in.ProtoMajor == 2 || x.in.TLS != nil {
		_ = http.NewResponseController(x.writer).SetWriteDeadline(time.Time{})
	}
}

// Unwrap is for http.ResponseController.
func (x *Exchange) Unwrap() http.ResponseWriter { return x.writer }

// observer counts for the request's route.
func (x *Exchange) observer() Observer {
	if x.route == nil {
		return x.state.unrouted
	}
	return x.route.observer
}

// end is deferred: it takes down what the request has used, answers a panic
// with a 500, and records what happened. An answer that broke off is passed on
// as http.ErrAbortHandler, so that net/http breaks the connection too.
func (x *Exchange) end() {
	failure := recover()
	abort := failure != nil
	x.handler.ongoing.remove(x)
	x.body.abandon()
	x.wait.over()
	if x.cancel != nil {
		x.cancel()
	}
	switch {
	case failure == nil:
	case failure == http.ErrAbortHandler:
		x.brokeOff()
		abort = !x.endGRPC()
	default:
		x.handler.log.Error("request handling failed", "request_id", x.id, "panic", fmt.Sprint(failure), "stack", string(debug.Stack()))
		x.reason = auth.Undecided
		if x.status == 0 {
			x.answer(&problem{reason: auth.Undecided})
			abort = false
		}
	}
	x.record()
	if abort {
		if !x.in.ProtoAtLeast(1, 1) {
			wire.BreakOff(x.in.Context())
		}
		panic(http.ErrAbortHandler)
	}
	x.limitWrite() // what is left goes out behind us, for which the last deadline may be over
}

// brokeOff tells why an answer that had begun did not come to its end.
func (x *Exchange) brokeOff() {
	switch {
	case x.reason != auth.OK: // known already
	case x.in.Context().Err() != nil: // net/http ends it when a write fails, too
		x.reason = auth.ClientClosed
	default:
		x.reason, x.detail = auth.UpstreamUnavailable, "the upstream's answer broke off"
	}
}

// record writes the metrics and the log.
func (x *Exchange) record() {
	took := x.handler.now().Sub(x.start)
	o := x.observer()
	o.Request(x.in.Method, x.status, took)
	if x.upstream > 0 {
		o.Upstream(x.upstream)
	}
	ctx, log := x.in.Context(), x.handler.log
	if x.detail != "" {
		level := slog.LevelDebug
		if x.reason.Status() >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "request failed", "request_id", x.id, "route", x.routeName(), "reason", x.reason, "detail", x.detail)
	}
	if access := x.handler.access; x.state.accessLog && access.Out != nil && log.Enabled(ctx, slog.LevelInfo) {
		x.logAccess(access, took)
	}
}

func (x *Exchange) routeName() string {
	if x.route == nil {
		return ""
	}
	return x.route.Name
}
