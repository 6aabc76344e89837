package proxy

import (
	"bufio"
	"errors"
	"net"
	"net/http"
)

// Hijack is called by ReverseProxy when both sides have agreed to switch
// protocols.
func (x *Exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(x.writer).Hijack()
	if err == nil {
		x.status = http.StatusSwitchingProtocols
		x.watch(x.cancel)
		conn = switched{conn, x}
	}
	return conn, rw, err
}

// switched is a connection that is a WebSocket now.
type switched struct {
	net.Conn
	x *Exchange
}

// Read notes that the client sends something.
func (c switched) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.x.pass()
	return n, err
}

// Write notes that the client gets something.
func (c switched) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.x.pass()
	return n, err
}

// CloseWrite tells the client that the upstream has no more to say.
func (c switched) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}
