package users

import (
	"os"
	"strconv"
	"syscall"
)

// lowest is the priority of a process that takes what others leave.
const lowest = 19

// giveWay puts this process behind all others, and in front of them when memory
// runs out. On Linux each thread has its own priority, and hands it on to those
// that it starts; one that is started meanwhile is found by the next pass. Failure
// means hashing at the common priority.
func giveWay() {
	for missed := true; missed; {
		missed = false
		tasks, _ := os.ReadDir("/proc/self/task")
		for _, t := range tasks {
			id, _ := strconv.Atoi(t.Name())
			// The kernel answers 20 less the priority.
			if had, err := syscall.Getpriority(syscall.PRIO_PROCESS, id); err != nil || had <= 20-lowest {
				continue
			}
			if syscall.Setpriority(syscall.PRIO_PROCESS, id, lowest) == nil {
				missed = true
			}
		}
	}
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}
