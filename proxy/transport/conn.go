package transport

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"syscall"
	"time"
)

// conn is a connection to a server. It carries one exchange at a time; what was
// read from it and is not used up is never in a buffer of another's.
type conn struct {
	host      string
	net       net.Conn
	in        *bufio.Reader // reads through the conn
	abort     func()        // closes it, whoever is reading or writing
	idleSince time.Time
	leash     leash

	socket *socket // nil: there is nothing below the net.Conn
	kept   bool    // it was idle, in which time the server may have closed it

	// Of the exchange under way:
	wrote      bool  // something of the request was written
	writeError error // the network's
	readError  error // the network's, io.EOF when the server has ended it
	left       int64 // bytes that may still be read
	maxHeader  int64

	mu       sync.Mutex // guards the two below while a body is sent
	answered bool       // the final header came
	deadline bool       // one is set on the connection
}

func newConn(host string, nc net.Conn) *conn {
	c := &conn{host: host, net: nc, abort: func() { _ = nc.Close() }}
	c.leash.pull, c.in = c.abort, bufio.NewReader(c)
	if s, ok := nc.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.socket = newSocket(raw)
		}
	}
	return c
}

// begin makes the connection ready for an exchange.
func (c *conn) begin(maxHeader int64) {
	c.wrote, c.writeError, c.readError, c.answered = false, nil, nil, false
	c.maxHeader, c.left = maxHeader, maxHeader
}

// quiet reports whether nothing came while nobody had asked: the end of the
// connection above all. A server that has closed it, or has sent what it was not
// asked for, is not to be asked on it.
func (c *conn) quiet() bool { return !c.kept || c.socket == nil || c.socket.quiet() }

// ask writes a request that is this head alone, and waits for what comes if it
// can. It fails with errStale, and has written nothing, if it is not quiet.
func (c *conn) ask(head []byte) error {
	sent := 0
	if c.kept && c.socket != nil {
		var quiet bool
		if sent, quiet = c.socket.ask(head); !quiet {
			return errStale
		}
		c.wrote = sent > 0
	}
	if sent == len(head) {
		return nil
	}
	_, err := c.Write(head[sent:])
	return err
}

// Read is what the codec reads through.
func (c *conn) Read(p []byte) (int, error) {
	if c.answered {
		c.setDeadline(0)
	}
	if c.left <= 0 {
		return 0, fmt.Errorf("the header of the answer is larger than %d bytes", c.maxHeader)
	}
	n, err := c.net.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err != nil {
		c.readError = err
	}
	return n, err
}

// Write is what the codec writes through.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.net.Write(p)
	c.wrote = c.wrote || n > 0
	if err != nil {
		c.writeError = err
	}
	return n, err
}

// ReadFrom lets bodies pass by the small buffer.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// setDeadline bounds the wait for the network, 0 ends the bound. It is taken
// off lazily: an answer that came whole is read without asking the network.
func (c *conn) setDeadline(wait time.Duration) {
	switch {
	case wait > 0:
		_ = c.net.SetDeadline(time.Now().Add(wait))
		c.deadline = true
	case c.deadline:
		_ = c.net.SetDeadline(time.Time{})
		c.deadline = false
	}
}

// expect bounds the wait for the final header, unless it came already, from
// beside whoever waits for it.
func (c *conn) expect(wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered {
		c.setDeadline(wait)
	}
}

// answer notes that the final header came.
func (c *conn) answer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = true
	c.left = math.MaxInt64
}
