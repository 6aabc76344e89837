//go:build unix

package transport

import "syscall"

// socket is a connection as the system knows it.
type socket struct {
	raw  syscall.RawConn
	look func(fd uintptr)
	turn func(fd uintptr) bool

	byte [1]byte
	came bool   // something was there to be read, or the connection has failed
	head []byte // what ask has to send
	sent int    // bytes of it
	took bool   // ask had its turn
}

func newSocket(raw syscall.RawConn) *socket {
	s := &socket{raw: raw}
	s.look = func(fd uintptr) {
		_, err := syscall.Read(int(fd), s.byte[:])
		s.came = err != syscall.EAGAIN
	}
	s.turn = s.takeTurn
	return s
}

// quiet tries to read a byte without waiting. The byte is lost, but the
// connection is not used again if there was one.
func (s *socket) quiet() bool {
	s.came = true
	// Not by raw.Read, which heeds a deadline that is over.
	return s.raw.Control(s.look) == nil && !s.came
}

// ask is quiet, a write and the wait for what comes of it, for which the system
// is asked no more than that: the runtime would try to read first, each time in
// vain. It returns how much was sent, for the rest of which the caller has to
// care, as for whatever fails: it fails again, and is told in the usual way.
func (s *socket) ask(head []byte) (sent int, quiet bool) {
	s.head, s.sent, s.took, s.came = head, 0, false, false
	_ = s.raw.Read(s.turn)
	s.head = nil
	return s.sent, !s.came
}

// takeTurn is called, and called again when there is something to be read if it
// returns false. That is not missed: the look has shown that there was nothing
// since the runtime began to watch out for it.
func (s *socket) takeTurn(fd uintptr) (done bool) {
	if s.took {
		return true
	}
	s.took = true
	if s.look(fd); s.came {
		return true
	}
	n, _ := syscall.Write(int(fd), s.head)
	s.sent = max(n, 0)
	return s.sent < len(s.head)
}
