package database

import (
	"bytes"
	"os"
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
	before := peak(t)
	for range 3 {
		if _, err := h.plugin.Query(t.Context(), text, Budget{}, nil); errnoOf(err) != abi.ErrnoLimit {
			t.Fatal(err)
		}
	}
	grown := peak(t) - before
	t.Logf("the process has grown by %d MB at most", grown>>20)
	if grown > 150<<20 {
		t.Errorf("the process grew by %d MB for rows that fit no budget", grown>>20)
	}
}

// peak is the most memory that the process has had, in bytes.
func peak(t *testing.T) int64 {
	t.Helper()
	_, rest, _ := bytes.Cut(readFile(t, "/proc/"+strconv.Itoa(os.Getpid())+"/status"), []byte("VmHWM:"))
	n, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
