package database

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
)

// A row of hundreds of megabytes is refused before this process has its memory.
func TestServerTextMemory(t *testing.T) { onServerEngines(t, testServerTextMemory) }

func testServerTextMemory(t *testing.T, f fixture) {
	h := newTextHouse(t, f)
	var columns []string
	for i := range 20 {
		columns = append(columns, per(h.plugin, "repeat(repeat('x', 1000), 15000)", "repeat('x', 15000000)")+" AS c"+strconv.Itoa(i))
	}
	text := rawQuery("SELECT " + strings.Join(columns, ", ")) // 300 MB in one row
	for range 3 {
		before := allocated()
		if _, err := h.plugin.Query(t.Context(), text, Budget{}, nil); errnoOf(err) != abi.ErrnoLimit {
			t.Fatal(err)
		}
		took := allocated() - before
		t.Logf("it took %d MB", took>>20)
		if took > 100<<20 {
			t.Errorf("it took %d MB of memory to refuse a row that fits no budget", took>>20)
		}
	}
}

// allocated is how many bytes the process has allocated so far, given back or not: unlike its size it does not depend on the collector, the race
// detector, or what ran before.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
