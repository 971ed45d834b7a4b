package engine

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/odac-run/odachost/internal/testkit"
)

// reportHumble is a process that gives way, and says how.
func reportHumble([]string) int {
	humble()
	var all sync.WaitGroup
	for range 4 { // threads that came later
		all.Go(func() {
			nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
			fmt.Println("nice", 20-nice, err) // as the system call gives it
		})
	}
	all.Wait()
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	fmt.Println("score", strings.TrimSpace(string(score)), err)
	return 0
}

func TestCompilerGivesWay(t *testing.T) {
	p := testkit.Spawn(t, "humble")
	for range 4 {
		if line, ok := p.Line(); !ok || line != "nice 3 <nil>" {
			t.Errorf("%q", line)
		}
	}
	if line, ok := p.Line(); !ok || line != "score 1000 <nil>" {
		t.Errorf("%q", line)
	}
}
