package transport

import (
	"io"
	"time"
)

// uploadPatience is how long the end of an answer waits for the end of its
// request, so that the connection can be used again.
const uploadPatience = 50 * time.Millisecond

// upload is a request with a body on its way.
type upload struct {
	body     io.ReadCloser
	readErr  error
	done     chan struct{} // closed at the end; what is below may be read then
	complete bool          // everything was sent
	fault    error         // what was wrong with the body; nil: nothing, or the network was at fault
}

// run sends the request of an exchange. A body at fault ends the connection, so
// that the server cannot take what it has of it for a whole one.
func (u *upload) run(x *exchange) {
	defer close(u.done)
	c := x.conn
	r := x.request.WithContext(x.request.Context())
	r.Body = u
	err := encode(c, r)
	u.complete = err == nil
	switch {
	case u.readErr != nil:
		u.fault = u.readErr
		c.abort()
	case err != nil && c.writeError == nil: // such as a length that is not the body's
		u.fault = err
		c.abort()
	default:
		// When the network failed the server may have answered before.
		c.expect(x.transport.cfg.HeaderTimeout)
	}
}

// Read reads the body, and keeps the error.
func (u *upload) Read(p []byte) (int, error) {
	n, err := u.body.Read(p)
	if err != nil && err != io.EOF {
		u.readErr = err
	}
	return n, err
}

// Close closes the body.
func (u *upload) Close() error { return u.body.Close() }
