package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
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
	t.Setenv("GOGC", "50")
	t.Setenv("GOMEMLIMIT", "off")
	tuneMemory()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("GOGC is set, and the percentage became %d", got)
	}
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("GOMEMLIMIT is set, and the limit became %d", got)
	}
}

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ live, scanned, want uint64 }{
		{1 * mib, 1 * mib, 410}, // the runtime's least heap
		{3 * mib, 2 * mib, 340},
		{9 * mib, 6 * mib, 140},
		{64 * mib, 2 * mib, 20}, // tables of revocations
		{64 * mib, 60 * mib, 190},
	} {
		if got := gcPercent(c.live, c.scanned); uint64(got) != c.want {
			t.Errorf("%d MiB, %d of them to look through: %d%%, want %d", c.live/mib, c.scanned/mib, got, c.want)
		}
	}
}

// The percentage follows the heap, collection by collection.
func TestCollectionsArePaced(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "off")
	tuneMemory()
	percentage := func() uint64 {
		runtime.GC()
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	within := func(what string, low, high uint64) {
		t.Helper()
		p := percentage()
		for range 500 {
			if p >= low && p <= high {
				return
			}
			time.Sleep(time.Millisecond) // cleanups have a goroutine of their own
			p = percentage()
		}
		t.Errorf("%s: %d%%", what, p)
	}
	within("a small heap", 100, 410)
	tables := make([]byte, 256<<20)
	within("a large heap without pointers", 10, 20)
	runtime.KeepAlive(tables)
	tables = nil
	within("a small heap again", 100, 410)
}
