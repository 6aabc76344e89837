package gateway

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"gatehouse/config"
)

func TestLogLosesNothingWhenClosed(t *testing.T) {
	var out logBuffer
	l := NewLog(config.Log{Level: "info", Format: "json"}, &out)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for j := range 100 {
				l.Info("line", "number", fmt.Sprint(i, "-", j))
			}
		})
	}
	wg.Wait()
	l.Debug("below the level")
	l.Level.Set(slog.LevelDebug)
	l.Debug("at the level")
	l.Close()
	l.Close() // once more does no harm
	if n := strings.Count(out.String(), "\n"); n != 1001 || l.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", n, l.Dropped())
	}
	for i := range 10 {
		if !strings.Contains(out.String(), fmt.Sprintf(`"number":"%d-99"}`, i)) {
			t.Errorf("writer %d's last line is missing", i)
		}
	}
	if l.Info("too late"); strings.Contains(out.String(), "too late") || l.Dropped() != 1 {
		t.Error("a line behind the end was not dropped")
	}
}

// TestG04LogNeverBlocks: nobody reads, and yet whoever logs goes on.
func TestG04LogNeverBlocks(t *testing.T) {
	r, w := io.Pipe()
	l := NewLog(config.Log{Format: "text"}, w)
	line := strings.Repeat("x", 1000)
	for range 3 * maxUnread / len(line) {
		l.Info(line)
	}
	if l.Dropped() == 0 {
		t.Error("three times what there is room for, and nothing was dropped")
	}
	read := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		read <- string(b)
	}()
	l.Close()
	_ = w.Close()
	if n := strings.Count(<-read, line); n < maxUnread/(len(line)+200) {
		t.Errorf("%d lines were kept", n)
	}
}
