package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// memoryFile has the container's memory limit in bytes (Linux, cgroup v2).
const memoryFile = "/sys/fs/cgroup/memory.max"

// tuneMemory sets what GOGC and GOMEMLIMIT would set, where they are not set:
// collections as far apart as their cost asks for, and closer together when the
// container's limit comes near.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		paceCollections()
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	text, err := os.ReadFile(memoryFile)
	if err != nil {
		return // no container, or another system
	}
	if limit := memoryLimit(string(text)); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}

// minHeadroom is how much garbage, in bytes, is let gather before it is collected.
// A request leaves 8 KiB, mostly net/http's: this is the garbage of 1,300.
const minHeadroom = 10 << 20

// paceCollections sets the percentage anew after each collection. What a
// collection costs grows with what of the heap may hold pointers, and not with
// the rest. So a fixed percentage is either much work for a small heap, or much
// room for one with a million revocations in it, which are but two tables.
func paceCollections() {
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	set := 0
	var pace func(struct{})
	pace = func(struct{}) {
		metrics.Read(heap)
		if p := gcPercent(heap[0].Value.Uint64(), heap[1].Value.Uint64()); p != set {
			debug.SetGCPercent(p)
			set = p
		}
		// Nobody holds it, so that the next collection finds it and calls again.
		runtime.AddCleanup(new([64]byte), pace, struct{}{})
	}
	pace(struct{}{})
}

// gcPercent is GOGC for a heap of so many bytes in use, of which so many are to be
// looked through: twice as much again as those, and no less than minHeadroom. It
// goes in steps of ten, as setting it stops the world for a moment.
func gcPercent(live, scanned uint64) int {
	live = max(live, minHeadroom/4) // the runtime's own least heap is near
	return int(max(minHeadroom, 2*scanned)*10/live)*10 + 10
}

// memoryLimit is nine tenths of the limit that the file tells, because not all
// memory is the heap's; 0 when there is none.
func memoryLimit(text string) int64 {
	limit, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0 // max
	}
	return limit / 10 * 9
}
