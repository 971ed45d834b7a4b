package testkit

import (
	"context"
	"net"
	"os"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is a bound for a broken program, not a measure: nothing is
// asserted about how quickly a thing comes.
const patience = 30 * time.Second

// Eventually waits until ok is true, and fails the test with what when it is not within 30 s. It is for states that another
// process or the runtime brings about; where the code under test can tell, wait for a channel instead.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("testkit: still not so after %v: %s", patience, what)
		}
	}
}

// Context is done when the test ends or after 30 s, so that a test of a broken program fails and does not hang.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// FreePort is a TCP port of 127.0.0.1 that was free a moment ago. It is for servers that must be told their port; one of ours
// listens on port 0 and says which it got.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testkit: free port: %v", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatalf("testkit: free port: %v", err)
	}
	return port
}

// FDs counts the file descriptors that this process has open, -1 where the system does not say (only Linux does).
func FDs() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(entries) - 1 // without the one that reads the folder
}
