package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync"
	"time"
)

// exchange is one request and its answer on a connection. It is the answer's
// body too: whoever reads that to its end gives the connection back, whoever
// closes it before closes the connection.
type exchange struct {
	transport *Transport
	conn      *conn
	request   *http.Request
	upload    *upload // nil: the request has no body
	last      bool    // either side wants no other exchange on the connection
	again     bool    // it failed in a way in which another try does no harm

	codec   io.Reader  // of the answer's body
	counted counted    // the codec of an ordinary one
	mu      sync.Mutex // guards err
	err     error      // by which the answer's body ended, io.EOF if well; nil: it has not
}

var (
	errSwitched = errors.New("the server switched protocols without being asked to")
	errStatus   = errors.New("the answer has a status below 100")
	errClosed   = errors.New("the body of the answer is closed")
	errStale    = errors.New("the kept connection is not in order, and was not asked")
)

// errTimeout is a net.Error but no net.OpError: those are of the connecting.
type errTimeout struct{}

func (errTimeout) Error() string   { return "no final header of an answer within the time for it" }
func (errTimeout) Timeout() bool   { return true }
func (errTimeout) Temporary() bool { return true }

// exchange sends a request and reads the answer's header. When it fails the
// connection is closed; again tells whether another may be tried. The head is all
// of the request, as it goes out; empty: the codec is to write it.
func (t *Transport) exchange(c *conn, r *http.Request, head []byte) (res *http.Response, again bool, err error) {
	x := &exchange{transport: t, conn: c, request: r}
	c.begin(t.cfg.MaxHeaderBytes)
	c.leash.attach(r.Context())
	if err = x.send(head); err == nil {
		res, err = x.receive()
	}
	if err != nil {
		err = x.fail(err)
		return nil, x.again, err
	}
	x.last = res.Close || r.Close
	if res.Body == http.NoBody {
		_ = x.finish(io.EOF)
		return res, false, nil
	}
	x.codec, res.Body = res.Body, x
	return res, false, nil
}

// send writes the request, or has it written if it has a body: the answer can
// come while that is under way.
func (x *exchange) send(head []byte) error {
	c, r := x.conn, x.request
	if r.Body != nil && r.Body != http.NoBody {
		c.setDeadline(0)
		x.upload = &upload{body: r.Body, done: make(chan struct{})}
		go x.upload.run(x)
		return nil
	}
	c.setDeadline(x.transport.cfg.HeaderTimeout)
	err := ask(c, r, head)
	if c.writeError != nil && c.wrote {
		return nil // perhaps the server has said why it would not read on
	}
	x.again = c.writeError != nil
	return err
}

// ask writes a request without a body to a connection: by one call if nothing
// about it is unusual, else by the codec.
func ask(c *conn, r *http.Request, head []byte) error {
	switch {
	case len(head) > 0:
		return c.ask(head)
	case !c.quiet():
		return errStale
	}
	return encode(c, r)
}

// receive reads the final header of the answer, and tells the request's trace
// of informational ones (RFC 9110 §15.2) on the way.
func (x *exchange) receive() (*http.Response, error) {
	c := x.conn
	if _, err := c.in.Peek(1); err != nil {
		x.again = x.upload == nil && repeatable(x.request)
		return nil, err
	}
	for {
		res, err := x.readAnswer()
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode >= http.StatusOK:
			c.answer()
			return res, nil
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errSwitched
		case res.StatusCode < http.StatusContinue:
			return nil, errStatus
		}
		if trace := httptrace.ContextClientTrace(x.request.Context()); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
			c.left = c.maxHeader // how many there are is the trace's concern
		}
	}
}

// fail closes the connection and finds the error that is at the root: what ended
// the request, what was wrong with its body, or else what the network said.
func (x *exchange) fail(err error) error {
	x.conn.leash.detach()
	x.conn.abort()
	var fault error
	if x.upload != nil {
		<-x.upload.done
		fault = x.upload.fault
	}
	cause, network := context.Cause(x.request.Context()), x.conn.readError
	timeout := errors.Is(network, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	x.again = x.again && cause == nil && !timeout
	switch {
	case cause != nil:
		return cause
	case fault != nil:
		return fault
	case timeout:
		return errTimeout{}
	case network == io.EOF:
		return io.ErrUnexpectedEOF
	case network != nil: // what the codec says comes of it
		return network
	}
	return err
}

// Read reads the answer's body.
func (x *exchange) Read(p []byte) (int, error) {
	x.mu.Lock()
	err := x.err
	x.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n, err := x.codec.Read(p)
	if err != nil {
		err = x.finish(err)
	}
	return n, err
}

// Close ends the reading of the answer's body, also from beside a Read.
func (x *exchange) Close() error {
	_ = x.finish(errClosed)
	return nil
}

// finish gives the connection back when the exchange came to its end, else
// closes it. The first error counts, and is returned.
func (x *exchange) finish(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return x.err
	}
	attached := x.conn.leash.detach()
	if cause := context.Cause(x.request.Context()); cause != nil && !errors.Is(err, io.EOF) {
		err = cause
	}
	x.err = err
	c := x.conn
	if err == io.EOF && attached && !x.last && c.readError == nil && c.in.Buffered() == 0 && x.sent() {
		x.transport.put(c)
	} else {
		c.abort()
	}
	return err
}

// sent reports whether the server has got the whole request. A server that
// answers before it has the whole body does not get the rest.
func (x *exchange) sent() bool {
	if x.upload == nil {
		return x.conn.writeError == nil
	}
	select {
	case <-x.upload.done:
	default:
		// The answer can be here before the upload's goroutine has noticed that
		// it is at its end.
		patience := time.NewTimer(uploadPatience)
		defer patience.Stop()
		select {
		case <-x.upload.done:
		case <-patience.C:
			return false
		}
	}
	return x.upload.complete
}
