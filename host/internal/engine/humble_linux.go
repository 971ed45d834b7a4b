package engine

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness has each of its threads half the weight of one of the host's: on two processors a compilation that takes both is a third faster where nobody else wants
// them, and no slower than by one thread where all do.
const niceness = 3

// humble has this process give way to the host that started it: in time, and when memory runs out. Where it may not, it is as it was.
func humble() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	threads, _ := os.ReadDir("/proc/self/task") // those to come take after the one that makes them
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, niceness)
		}
	}
}
