package rig

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Line is a line of the log.
type Line map[string]any

// Log is what a gateway has logged so far.
type Log struct {
	mu    sync.Mutex
	text  []string
	lines []Line // nil where a line is no JSON
	ended bool
	more  *sync.Cond

	reading sync.Mutex // held while nobody reads
	blocked bool
}

func newLog() *Log {
	l := &Log{}
	l.more = sync.NewCond(&l.mu)
	return l
}

func (l *Log) add(text string) {
	var line Line
	_ = json.Unmarshal([]byte(text), &line) // what a crash prints is no JSON
	l.reading.Lock()
	defer l.reading.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text, l.lines = append(l.text, text), append(l.lines, line)
	l.more.Broadcast()
}

// Block stops the reading of the log, until Unblock.
func (l *Log) Block() {
	l.reading.Lock()
	l.blocked = true
}

// Unblock goes on reading; it may be called again.
func (l *Log) Unblock() {
	if l.blocked {
		l.blocked = false
		l.reading.Unlock()
	}
}

func (l *Log) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.more.Broadcast()
}

// String is the log as it was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n") + "\n"
}

// find returns the first line that fits, nil when there is none.
func (l *Log) find(fits func(Line) bool) Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first(fits)
}

func (l *Log) first(fits func(Line) bool) Line {
	if i := slices.IndexFunc(l.lines, fits); i >= 0 {
		return l.lines[i]
	}
	return nil
}

// wait returns the first line that fits, nil when none comes.
func (l *Log) wait(fits func(Line) bool) Line {
	end := time.Now().Add(Patience)
	alarm := time.AfterFunc(Patience, l.more.Broadcast)
	defer alarm.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if line := l.first(fits); line != nil {
			return line
		}
		if l.ended || time.Now().After(end) {
			return nil
		}
		l.more.Wait()
	}
}

// Wait waits for a line with that message.
func (l *Log) Wait(t testing.TB, message string) Line {
	t.Helper()
	line := l.wait(func(line Line) bool { return line["msg"] == message })
	if line == nil {
		t.Fatalf("nothing is logged with msg %q", message)
	}
	return line
}

// Access waits for the access line of the answer's request, and returns it as
// it was read and as it was written.
func (l *Log) Access(t testing.TB, a Answer) (Line, string) {
	t.Helper()
	id := a.Header.Get("X-Request-Id")
	fits := func(line Line) bool { return line["msg"] == "request" && line["request_id"] == id }
	line := l.wait(fits)
	if line == nil {
		t.Fatalf("no access line for request %q", id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return line, l.text[slices.IndexFunc(l.lines, fits)]
}
