package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Config configures a [Listener].
type Config struct {
	MaxHeaderBytes    int           // of a request line and header
	ReadHeaderTimeout time.Duration // from the connection's first moment (before TLS), later from a request's first byte, to the end of its header
	MaxConnections    int           // open at once; more wait in the kernel's queue. 0: no limit
	TLS               *tls.Config   // nil: plain TCP. Without NextProtos it offers HTTP/2
	H2C               bool          // a plain connection may begin with HTTP/2's preface; the http.Server must take it too
	Log               *slog.Logger  // accepts that failed and limits that were met (Warn), handshakes that failed (Debug)
}

// Listener accepts connections whose requests are checked.
type Listener struct {
	net.Listener
	cfg     Config
	buffers sync.Pool     // of *bytes.Buffer
	slots   chan struct{} // one for each open connection; nil: no limit
	full    time.Time     // when it was last logged that there is none left; of the one goroutine that accepts
	start   sync.Once
	shaken  chan net.Conn // connections after their TLS handshake
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// NewListener returns l with checked connections. It starts nothing; closing
// the result closes l.
func NewListener(l net.Listener, cfg Config) (*Listener, error) {
	switch {
	case cfg.MaxHeaderBytes <= 0 || cfg.ReadHeaderTimeout <= 0 || cfg.MaxConnections < 0:
		return nil, fmt.Errorf("wire: limits must be positive: header bytes %d, header timeout %s, connections %d",
			cfg.MaxHeaderBytes, cfg.ReadHeaderTimeout, cfg.MaxConnections)
	case cfg.Log == nil:
		return nil, errors.New("wire: no logger")
	}
	n := &Listener{Listener: l, cfg: cfg, shaken: make(chan net.Conn)}
	if cfg.TLS != nil {
		n.cfg.TLS = cfg.TLS.Clone()
		if len(cfg.TLS.NextProtos) == 0 {
			n.cfg.TLS.NextProtos = []string{"h2", "http/1.1"}
		}
	}
	if cfg.MaxConnections > 0 {
		n.slots = make(chan struct{}, cfg.MaxConnections)
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// Accept returns the next connection: a [Conn], with TLS one after its
// handshake, and a [tls.Conn] where HTTP/2 was negotiated.
func (l *Listener) Accept() (net.Conn, error) {
	if l.cfg.TLS == nil {
		raw, err := l.accept()
		if err != nil {
			return nil, err
		}
		return l.conn(raw, time.Now()), nil
	}
	l.start.Do(func() { l.running.Go(l.acceptTLS) })
	select {
	case c := <-l.shaken:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops accepting. Handshakes under way end without a connection: no
// request of theirs is lost, since none was sent.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.cancel()
	l.start.Do(func() {}) // nothing is begun from here on
	l.running.Wait()
	return err
}

func (l *Listener) conn(c net.Conn, accepted time.Time) *Conn {
	_, secure := c.(*tls.Conn)
	n := &Conn{timed: timed{Conn: c, whole: secure}, limits: &l.cfg, gone: func() {}, firstBy: accepted.Add(l.cfg.ReadHeaderTimeout)}
	n.in = input{conn: &n.timed, pool: &l.buffers}
	return n
}

// accept takes a slot and the next connection. It fails when the listener was
// closed; any other failure, such as too many open files, passes or is for
// people to see: it tries again.
func (l *Listener) accept() (net.Conn, error) {
	if l.slots != nil && !l.takeSlot() {
		return nil, net.ErrClosed
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		raw, err := l.Listener.Accept()
		switch {
		case err == nil && l.slots != nil:
			return &slotConn{Conn: raw, free: sync.OnceFunc(func() { <-l.slots })}, nil
		case err == nil || errors.Is(err, net.ErrClosed):
			return raw, err
		}
		l.cfg.Log.Warn("cannot accept a connection, trying again", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
			return nil, net.ErrClosed
		}
	}
}

// takeSlot waits for a slot; false: the listener was closed. A limit that is
// met is for people to see, but not each time that it is.
func (l *Listener) takeSlot() bool {
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	if now := time.Now(); now.Sub(l.full) >= time.Minute {
		l.full = now
		l.cfg.Log.Warn("all connections that server.max_connections allows are open; more wait until one ends", "max_connections", l.cfg.MaxConnections)
	}
	select {
	case l.slots <- struct{}{}:
		return true
	case <-l.ctx.Done():
		return false
	}
}

func (l *Listener) acceptTLS() {
	defer l.cancel() // Accept shall end too when somebody closed the listener below
	for {
		raw, err := l.accept()
		if err != nil {
			return
		}
		l.running.Go(func() {
			c := l.handshake(raw, time.Now())
			if c == nil {
				return
			}
			select {
			case l.shaken <- c:
			case <-l.ctx.Done():
				c.Close()
			}
		})
	}
}

// handshake returns the connection to be served, nil when there is none.
func (l *Listener) handshake(raw net.Conn, accepted time.Time) net.Conn {
	raw.SetDeadline(accepted.Add(l.cfg.ReadHeaderTimeout))
	secure := tls.Server(raw, l.cfg.TLS)
	err := secure.HandshakeContext(l.ctx)
	raw.SetDeadline(time.Time{})
	switch {
	case err == nil && secure.ConnectionState().NegotiatedProtocol == "h2":
		return secure
	case err == nil:
		return &tlsConn{l.conn(secure, accepted), secure}
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && class[record.RecordHeader[0]]&inMethod != 0 {
		c := l.conn(raw, accepted)
		c.refuse(malformed("HTTP without TLS on a TLS listener"), nil)
		return c
	}
	l.cfg.Log.Debug("TLS handshake failed", "client", raw.RemoteAddr(), "error", err)
	raw.Close()
	return nil
}

// slotConn counts against MaxConnections until it is closed.
type slotConn struct {
	net.Conn
	free func()
}

func (c *slotConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

func (c *slotConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *slotConn) SetLinger(seconds int) error {
	if l, ok := c.Conn.(interface{ SetLinger(seconds int) error }); ok {
		return l.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}
