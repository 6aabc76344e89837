package cli

import (
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	for text, want := range map[string]int64{"max\n": 0, "134217728\n": 120795948, "": 0, "x": 0} {
		if got := memoryLimit(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestTuneMemoryLeavesWhatIsSet(t *testing.T) {
	before := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetGCPercent(before); debug.SetMemoryLimit(limit) })
	for set, want := range map[string]int{"50": 100, "": gcPercent} {
		debug.SetGCPercent(100)
		t.Setenv("GOGC", set)
		t.Setenv("GOMEMLIMIT", "off")
		tuneMemory()
		if got := debug.SetGCPercent(100); got != want {
			t.Errorf("GOGC=%q: the percentage is %d, want %d", set, got, want)
		}
		if got := debug.SetMemoryLimit(-1); got != limit {
			t.Errorf("GOMEMLIMIT is set, and the limit became %d", got)
		}
	}
}
