// Package wire closes in front of net/http what net/http lets through: framing
// that another parser could read differently, malformed requests that net/http
// answers in its own words before any handler runs, and heads without end.
//
// [NewListener] wraps a listener. Its HTTP/1 connections hand net/http only
// heads that are complete and were checked, and bodies whose framing is
// followed byte by byte. When a request is at fault, net/http is given a
// stand-in for it, and the handler learns by [FaultOf] what to answer; so a
// malformed request gets its answer, log line and metric on the ordinary way,
// and its connection is closed. HTTP/2 comes without the byte stage, over TLS or,
// with [Config.H2C], behind its preface: its frames say how long they are, which
// leaves nothing to be read in two ways. [CheckRequest] checks what is left to
// check there.
//
// Some of what RFC 9112 lets a server accept is refused, because whoever
// stands in front of us or behind may read it otherwise: a bare LF as line end,
// a header name outside [A-Za-z0-9-], Content-Length lines that repeat even
// where they agree, a transfer coding not written exactly `chunked`, and an
// absolute-form target whose authority is not the Host. One empty line before
// a request is skipped (RFC 9112 §2.2). Trailer, the trailer section and chunk
// extensions are dropped (RFC 9112 §7.1).
//
// An http.Server must have both [ConnContext] and [ConnState] set, and a
// MaxHeaderBytes not below [Config.MaxHeaderBytes].
//
// The package imports net/http and auth. With TLS, a [Listener] runs one
// goroutine that accepts and one per handshake; Close joins them. A [Conn] runs
// one while a request takes long, which ends with the request or the connection.
package wire

import (
	"context"
	"net"
	"net/http"
)

type connKey struct{}

// ConnContext makes the connection known to [FaultOf]; it is meant for
// http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if w, ok := c.(interface{ wire() *Conn }); ok {
		ctx, w.wire().gone = context.WithCancel(ctx)
		return context.WithValue(ctx, connKey{}, w.wire())
	}
	return ctx // HTTP/2
}

// ConnState lets the bytes of a hijacked connection pass unchecked, as a
// WebSocket needs it; it is meant for http.Server.ConnState. net/http calls it
// when no read is under way.
func ConnState(c net.Conn, state http.ConnState) {
	if w, ok := c.(interface{ wire() *Conn }); ok && state == http.StateHijacked {
		w.wire().endWatch()
		w.wire().stage = stagePassed
	}
}

// BreakOff has the connection of this context end by a reset. It is for answers
// that broke off and whose end is that of their connection (HTTP/1.0 without a
// Content-Length, RFC 9112 §6.3): any other end would say that all of it came.
func BreakOff(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*Conn); ok {
		c.brokenOff.Store(true)
	}
}

// Abandon has the connection of this context end behind its answer: the rest of
// the request's body will not be read. With full duplex net/http would go on to
// the next request also when it had to cut a read of the body short, and take
// what is left of the body for that request.
func Abandon(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*Conn); ok {
		c.abandoned.Store(true)
	}
}

// FaultOf returns what is wrong with the request of this context, nil when
// nothing is. A handler asks it before it looks at the request, which in case
// of a fault may be a stand-in that holds nothing of what the client sent. It
// asks again when the body cannot be read: a body at fault also cancels the
// context, and the fault is there before that.
func FaultOf(ctx context.Context) *Fault {
	if c, ok := ctx.Value(connKey{}).(*Conn); ok {
		return c.fault.Load()
	}
	return nil
}
