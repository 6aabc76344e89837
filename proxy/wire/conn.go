package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

type stage uint8

// What is to be read next.
const (
	stageHead    stage = iota
	stageLength        // a body of known length
	stageChunks        // a body in chunks
	stageRefused       // nothing: the head was at fault
	stageBroken        // nothing: the body was at fault
	stagePassed        // not HTTP/1 any more: a WebSocket, or HTTP/2
)

// standIn is the request that net/http is given for one at fault.
const standIn = "GET / HTTP/1.1\r\nHost: fault.invalid\r\nConnection: close\r\n\r\n"

// A connection that was at fault is read from for a while before it is closed,
// or else the kernel resets it and the client may never see the answer
// (RFC 9112 §9.6).
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 256 << 10
)

// Conn is one HTTP/1 connection. Read is called by one goroutine at a time, as
// net/http does it; the rest may be called at any time.
type Conn struct {
	timed  // after the TLS handshake
	limits *Config
	in     input
	watch  watch
	gone   context.CancelFunc // ends the context of the connection's requests

	firstBy time.Time // when the first head must be complete; zero: it was
	stage   stage
	left    int64 // of a body of known length
	chunks  chunks
	ready   int    // bytes kept in the input that are a checked head
	standIn string // what is left of it to hand out

	fault     atomic.Pointer[Fault]
	lingered  atomic.Bool
	brokenOff atomic.Bool // see BreakOff
	abandoned atomic.Bool // see Abandon
}

func (c *Conn) wire() *Conn { return c }

// Read hands out what was checked, never bytes of two requests at once.
func (c *Conn) Read(p []byte) (int, error) {
	c.endWatch()
	switch {
	case len(p) == 0:
		return 0, nil
	case c.abandoned.Load():
		return 0, io.EOF
	case c.ready > 0:
		n, err := c.in.take(p[:min(len(p), c.ready)])
		c.ready -= n
		return n, err
	case c.stage == stageRefused:
		return c.readStandIn(p)
	case c.stage == stageBroken:
		return 0, c.fault.Load()
	case c.stage == stagePassed:
		return c.in.take(p)
	case c.stage == stageLength:
		n, err := c.in.take(p[:min(int64(len(p)), c.left)])
		if c.left -= int64(n); c.left == 0 {
			c.stage = stageHead
		}
		return n, err
	case c.stage == stageChunks:
		return c.readChunks(p)
	case len(p) == 1:
		// Between two requests only net/http's background read asks for a single
		// byte: it waits for the client to go away while the handler runs. It takes
		// the empty result for the end of that.
		if c.in.len() == 0 {
			c.beginWatch()
		}
		return 0, nil
	}
	return c.readHead(p)
}

// readHead returns nothing of a head before all of it came and was checked.
// While nothing came yet it waits under the deadline that net/http set.
func (c *Conn) readHead(p []byte) (int, error) {
	timed := !c.firstBy.IsZero()
	if timed {
		c.SetReadDeadline(c.firstBy)
		c.firstBy = time.Time{}
	}
	h := head{max: c.limits.MaxHeaderBytes, preface: timed && c.limits.H2C} // a connection begins once
	if c.in.len() == 0 {
		n, err := c.timed.Read(p)
		if n == 0 {
			return 0, err
		}
		b, f := h.feed(p[:n]) // mostly the whole head comes at once and needs no copy
		switch {
		case f != nil:
			return c.refuse(f, p)
		case h.done:
			c.begin(&h)
			c.in.keep(b[h.pos:])
			return h.pos, nil
		}
		c.in.keep(b)
	}
	return c.readSlowHead(p, &h, timed)
}

// readSlowHead goes on with a head that did not come in one piece. timed: its
// deadline is set.
func (c *Conn) readSlowHead(p []byte, h *head, timed bool) (int, error) {
	for {
		b, f := h.feed(c.in.bytes())
		c.in.truncate(len(b))
		switch {
		case f != nil:
			return c.refuse(f, p)
		case h.done:
			c.begin(h)
			c.ready = h.pos
			return c.Read(p)
		case !timed:
			c.SetReadDeadline(time.Now().Add(c.limits.ReadHeaderTimeout))
			timed = true
		}
		switch err := c.in.fill(); {
		case err == nil:
		case c.in.len() == 0: // an empty line, and then nothing
			return 0, err
		case errors.Is(err, os.ErrDeadlineExceeded):
			return c.refuse(headTimeout(), p)
		case err == io.EOF:
			return c.refuse(malformed("the connection ended within a head"), p)
		default:
			return 0, err
		}
	}
}

// begin says what follows a head.
func (c *Conn) begin(h *head) {
	switch {
	case h.http2:
		c.stage = stagePassed
	case h.codings > 0:
		c.stage, c.chunks = stageChunks, chunks{}
	case h.length > 0:
		c.stage, c.left = stageLength, h.length
	}
}

// refuse begins to hand out the stand-in. What else the client sent is not looked at.
func (c *Conn) refuse(f *Fault, p []byte) (int, error) {
	c.fault.Store(f)
	c.stage, c.standIn = stageRefused, standIn
	c.in.drop()
	return c.readStandIn(p)
}

func (c *Conn) readStandIn(p []byte) (int, error) {
	n := copy(p, c.standIn)
	c.standIn = c.standIn[n:]
	if n == 0 && len(p) > 1 {
		return 0, io.EOF
	}
	return n, nil // a background read ends without cancelling the request, even if the client has closed its half
}

// readChunks hands out the body as it is framed, less what is dropped.
func (c *Conn) readChunks(p []byte) (int, error) {
	for {
		n, err := c.in.peek(p)
		out, in, f := c.chunks.filter(p[:n])
		c.in.used(p[:n], in)
		switch {
		case f != nil:
			c.fault.Store(f)
			c.stage = stageBroken
			c.in.drop()
		case c.chunks.state == chunksDone:
			c.stage = stageHead
		}
		switch {
		case out > 0:
			return out, nil
		case f != nil:
			return 0, f
		case n == 0:
			return 0, err
		}
	}
}

// CloseWrite ends the writing half (with TLS: says so to the client).
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes the connection; when there may be more to come that nobody reads
// it lingers, once. A watch that goes on finds it closed, and so do the requests.
func (c *Conn) Close() error {
	if c.brokenOff.Load() {
		return c.reset()
	}
	if (c.fault.Load() != nil || c.abandoned.Load()) && !c.lingered.Swap(true) {
		c.CloseWrite()
		c.SetReadDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, &c.timed, lingerBytes)
	}
	return c.Conn.Close()
}

// reset closes the connection so that the client sees a failure: by a reset,
// and with TLS without the alert that ends it in order (RFC 8446 §6.1).
func (c *Conn) reset() error {
	raw := c.Conn
	if secure, ok := raw.(*tls.Conn); ok {
		raw = secure.NetConn()
	}
	if l, ok := raw.(interface{ SetLinger(seconds int) error }); ok {
		l.SetLinger(0)
	}
	return raw.Close()
}

// tlsConn is a Conn over TLS. A plain one must not have the method, by which
// net/http fills in Request.TLS.
type tlsConn struct {
	*Conn
	tls *tls.Conn
}

// ConnectionState is that of the handshake.
func (c *tlsConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }
