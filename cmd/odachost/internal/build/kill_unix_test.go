//go:build unix

package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

// TestPluginIsKilledWhole cancels a build whose command has started another.
func TestPluginIsKilledWhole(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plugin.yaml"), "name: x\nversion: 1.0.0\nbuild: [sh, -c, 'sleep 1000 & echo $! >pid.tmp && mv pid.tmp pid; wait']\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Plugin(ctx, dir) }()
	var pid int
	testkit.Eventually(t, "the build's child runs", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "pid"))
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	testkit.Eventually(t, "the build's child is gone", func() bool { return gone(pid) })
}

// gone says whether a process has ended; one that nobody has waited for yet counts.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}
