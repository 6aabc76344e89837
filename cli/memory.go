package cli

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// gcPercent is how much the heap grows between collections. A request leaves
// 12 KiB of garbage, mostly net/http's, and what lives is small: Go's default
// of 100 spends a tenth of a request's time on collecting, 200 half of that.
const gcPercent = 200

// memoryFile has the container's memory limit in bytes (Linux, cgroup v2).
const memoryFile = "/sys/fs/cgroup/memory.max"

// tuneMemory sets what GOGC and GOMEMLIMIT would set, where they are not set:
// fewer collections, and more of them when the container's limit comes near.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
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

// memoryLimit is nine tenths of the limit that the file tells, because not all
// memory is the heap's; 0 when there is none.
func memoryLimit(text string) int64 {
	limit, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0 // max
	}
	return limit / 10 * 9
}
