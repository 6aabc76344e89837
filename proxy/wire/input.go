package wire

import (
	"bytes"
	"io"
	"sync"
)

// maxPooledBuffer bounds what one large head leaves behind, in bytes.
const maxPooledBuffer = 64 << 10

// input reads a connection and keeps what was read and not handed out. Its
// buffer comes from a pool and goes back when it is empty: an idle connection
// holds none.
type input struct {
	conn io.Reader
	pool *sync.Pool    // of *bytes.Buffer
	kept *bytes.Buffer // nil: nothing is kept
}

func (in *input) bytes() []byte {
	if in.kept == nil {
		return nil
	}
	return in.kept.Bytes()
}

func (in *input) len() int { return len(in.bytes()) }

// keep adds b.
func (in *input) keep(b []byte) {
	if len(b) > 0 {
		in.buffer().Write(b)
	}
}

// fill adds what comes next.
func (in *input) fill() error {
	in.buffer().Grow(bytes.MinRead)
	b := in.kept.AvailableBuffer()
	n, err := in.conn.Read(b[:cap(b)])
	in.kept.Write(b[:n])
	if n > 0 {
		return nil // the next read says it again
	}
	return err
}

// peek copies what is kept to p, or else reads; used must follow.
func (in *input) peek(p []byte) (int, error) {
	if in.len() > 0 {
		return copy(p, in.kept.Bytes()), nil
	}
	return in.conn.Read(p)
}

// used says that of what peek returned the first n bytes were taken.
func (in *input) used(peeked []byte, n int) {
	switch in.len() {
	case 0:
		in.keep(peeked[n:])
	case n:
		in.drop()
	default:
		in.kept.Next(n)
	}
}

// take hands out what is kept, or else reads.
func (in *input) take(p []byte) (int, error) {
	n, err := in.peek(p)
	in.used(p[:n], n)
	return n, err
}

// truncate leaves the first n of the bytes kept.
func (in *input) truncate(n int) {
	if in.kept != nil {
		in.kept.Truncate(n)
	}
}

func (in *input) drop() {
	if in.kept != nil && in.kept.Cap() <= maxPooledBuffer {
		in.kept.Reset()
		in.pool.Put(in.kept)
	}
	in.kept = nil
}

func (in *input) buffer() *bytes.Buffer {
	if in.kept == nil {
		var ok bool
		if in.kept, ok = in.pool.Get().(*bytes.Buffer); !ok {
			in.kept = new(bytes.Buffer)
		}
	}
	return in.kept
}
