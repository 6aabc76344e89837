//go:build unix

package transport

import "syscall"

// quiet returns a function that tries to read a byte without waiting. The byte
// is lost, but the connection is not used again if there was one.
func quiet(raw syscall.RawConn) func() bool {
	var b [1]byte
	var err error
	read := func(fd uintptr) { _, err = syscall.Read(int(fd), b[:]) }
	return func() bool {
		// Not by raw.Read, which heeds a deadline that is over.
		err = nil
		return raw.Control(read) == nil && err == syscall.EAGAIN
	}
}
