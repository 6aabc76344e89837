package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/auth"
	"gatehouse/proxy/wire"
)

// requestBody is a request's body on its way to the upstream: bounded in size
// and in the time without a byte, with what went wrong kept so that it is never
// taken for a fault of the upstream's.
type requestBody struct {
	x      *Exchange
	conn   *http.ResponseController
	idle   time.Duration // without a byte; 0: no bound
	left   int64         // bytes that may still come; negative: any number
	fault  atomic.Pointer[problem]
	talks  atomic.Bool // both sides do as they please, see converse
	eof    atomic.Bool // it was read to its end
	closed atomic.Bool // nobody reads it any more
	mu     sync.Mutex  // held during a Read, see settle

	telling sync.Mutex // held while conn is told something
	over    bool       // it is net/http's again
}

func (b *requestBody) begin(x *Exchange) {
	b.x, b.conn, b.left, b.idle = x, http.NewResponseController(x.writer), -1, x.state.bodyIdle
	// Messages, of which the client may have none for a while; of one that
	// nobody knows that is no excuse.
	if isGRPC(x.in) && x.route.Policy.Mode != auth.None {
		b.idle = x.route.StreamIdle
	}
	if x.route.MaxBodyBytes > 0 {
		b.left = x.route.MaxBodyBytes
	}
	// The upstream may answer before it has the whole body. Without this
	// net/http would read the rest of the body itself, and throw it away,
	// before it let the answer through. HTTP/2 needs nothing of the kind.
	_ = b.conn.EnableFullDuplex()
}

var (
	errBodyTooLarge = errors.New("the request's body is larger than its route allows")
	errBodyPanicked = errors.New("the request's body could not be read")
)

// Read implements io.Reader. The transport calls it, in a goroutine of its own,
// where a panic would end the process: it becomes an error.
func (b *requestBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() {
		if failure := recover(); failure != nil {
			b.fault.Store(&problem{reason: auth.Undecided, detail: fmt.Sprint("reading the body panicked: ", failure), hangup: true})
			n, err = 0, errBodyPanicked
		}
	}()
	if b.idle > 0 {
		b.limit(time.Now().Add(b.idle))
		if b.talks.Load() { // asked behind, or converse could come in between
			b.limit(time.Time{})
		}
	}
	b.x.wait.pause()
	n, err = b.x.in.Body.Read(p)
	b.x.wait.resume()
	b.x.pass()
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			b.fault.CompareAndSwap(nil, &problem{reason: auth.RequestTooLarge})
			return 0, errBodyTooLarge
		}
	}
	switch {
	case err == io.EOF:
		b.eof.Store(true)
		if b.idle > 0 {
			// The connection is watched while the upstream works; the deadline
			// would look like the client's going away.
			b.limit(time.Time{})
		}
	case err != nil && !b.closed.Load():
		b.fault.CompareAndSwap(nil, bodyFault(b.x.in.Context(), err))
	}
	return n, err
}

// converse lets the rest of the body take its time: the answer has begun, it is
// of no known length, and the client may speak when it has something to say, as
// in a gRPC stream. From here on the route's bound on idle streams counts.
func (b *requestBody) converse() {
	if b.conn != nil && !b.talks.Swap(true) {
		b.limit(time.Time{})
	}
}

// limit bounds the reading of the client's connection. A transport may still read
// when the handler is done, and the connection, or what net/http keeps of an
// HTTP/2 stream, another request's.
func (b *requestBody) limit(until time.Time) {
	b.telling.Lock()
	defer b.telling.Unlock()
	if !b.over {
		_ = b.conn.SetReadDeadline(until) // fails where there is no connection: in tests
	}
}

// abandon ends the connection of a client of HTTP/1 whose body was not read to
// its end, whoever has answered. The handler is about to be done.
func (b *requestBody) abandon() {
	b.telling.Lock()
	b.over = true
	b.telling.Unlock()
	if b.conn != nil && !b.eof.Load() && b.x.in.ProtoMajor == 1 {
		wire.Abandon(b.x.in.Context())
	}
}

// Close ends a Read under way of a client's of HTTP/2, for which net/http's own
// client waits before it lets go of a stream that has failed. Otherwise it does
// nothing: to cut a read of HTTP/1 short would end the request's context, and
// net/http closes a request's body when the handler is done.
func (b *requestBody) Close() error {
	if b.x.in.ProtoMajor != 2 {
		return nil
	}
	b.closed.Store(true)
	return b.x.in.Body.Close()
}

// settle waits for a Read under way, when the request's context has ended.
// net/http ends it on any read error, before the Read that met the error
// returns, so that forwarding can fail before the fault is known. For the same
// reason the Read does return.
func (b *requestBody) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
}

// bodyFault tells what a failed read of a request's body means.
func bodyFault(ctx context.Context, err error) *problem {
	if f := wire.FaultOf(ctx); f != nil {
		return &problem{reason: f.Reason, status: f.Status, detail: f.Detail, hangup: true}
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{reason: auth.RequestTimeout, detail: "the body came to a halt", hangup: true}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return &problem{reason: auth.ClientClosed}
	}
	return &problem{reason: auth.RequestMalformed, detail: "the body broke off or is malformed", hangup: true}
}

// limit refuses a body that says itself that it is too large, before anything
// is asked of an upstream and before the client is told to send it.
func (x *Exchange) limit() *problem {
	if limit := x.route.MaxBodyBytes; limit > 0 && x.in.ContentLength > limit {
		return &problem{reason: auth.RequestTooLarge}
	}
	return nil
}

// limitDrain bounds what follows an answer to a request whose body was not
// read: net/http reads up to 256 KiB of it before it answers, to be able to
// keep the connection, and would wait for a slow client without end.
func (x *Exchange) limitDrain() {
	if x.in.ContentLength != 0 && x.state.bodyIdle > 0 {
		_ = http.NewResponseController(x.writer).SetReadDeadline(time.Now().Add(x.state.bodyIdle))
	}
}
