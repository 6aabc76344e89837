package gateway

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"gatehouse/config"
	"gatehouse/proxy"
)

// Log is the process's log. Whoever writes to it never waits for its reader.
type Log struct {
	*slog.Logger
	Level *slog.LevelVar // a reload sets it

	lines *lines
	text  bool
}

// Access is where the access log's lines go: among the others.
func (l *Log) Access() proxy.AccessLog { return proxy.AccessLog{Out: l.lines, Text: l.text} }

// NewLog returns a log as the configuration has it. It runs a goroutine until
// Close.
func NewLog(cfg config.Log, w io.Writer) *Log {
	l := &Log{Level: new(slog.LevelVar), lines: newLines(w), text: cfg.Format == "text"}
	l.Level.Set(level(cfg.Level))
	options := &slog.HandlerOptions{Level: l.Level}
	if l.text {
		l.Logger = slog.New(slog.NewTextHandler(l.lines, options))
	} else {
		l.Logger = slog.New(slog.NewJSONHandler(l.lines, options))
	}
	return l
}

// Dropped is how many lines were lost because nobody read the log.
func (l *Log) Dropped() uint64 { return l.lines.droppedSoFar() }

// Close writes what has not been written, as far as somebody reads it within a
// second. Lines that come later are lost.
func (l *Log) Close() { l.lines.close() }

func level(name string) slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return slog.LevelInfo // the configuration allows no other names
	}
	return l
}

const (
	// maxUnread bounds what waits for the log's reader, in bytes: some thousand
	// lines. What comes when it is full is dropped and counted.
	maxUnread = 1 << 20
	// gatherTime is how long a line may wait for others: waking a goroutine for
	// each costs more than writing it.
	gatherTime = 5 * time.Millisecond
	// closingTime is how long an ending process waits for the log's reader.
	closingTime = time.Second
)

// lines is a writer that hands lines on from a goroutine of its own, many in
// one write when many come.
type lines struct {
	out  io.Writer
	wake chan struct{} // has room for one
	end  chan struct{} // closed when no more lines are taken
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex // held while a line is copied, never while one is written
	unread  []byte
	dropped uint64
	closed  bool
}

func newLines(out io.Writer) *lines {
	l := &lines{out: out, wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes one line, or drops it. It never fails: a log that cannot be
// written is no reason to refuse a request.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	if l.closed || len(l.unread)+len(line) > maxUnread {
		l.dropped++
	} else {
		l.unread = append(l.unread, line...)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake
	}
	return len(line), nil
}

func (l *lines) run() {
	defer close(l.done)
	var writing []byte
	for {
		l.mu.Lock()
		writing, l.unread = l.unread, writing[:0]
		closed := l.closed
		l.mu.Unlock()
		if len(writing) > 0 {
			_, _ = l.out.Write(writing) // there is nowhere left to say so
		} else if closed {
			return
		} else {
			l.gather()
		}
	}
}

// gather waits for a line, and then a moment for more.
func (l *lines) gather() {
	select {
	case <-l.wake:
	case <-l.end:
		return
	}
	select {
	case <-time.After(gatherTime):
	case <-l.end:
	}
}

func (l *lines) droppedSoFar() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

func (l *lines) close() {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if !already {
		close(l.end)
	}
	select {
	case <-l.done:
	case <-time.After(closingTime):
	}
}
