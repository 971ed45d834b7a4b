package host_test

import (
	"strings"
	"testing"
)

// Before odac_register a guest has its configuration and its log, and an error that says so for the rest.
func TestStart(t *testing.T) {
	s := open(t, t.TempDir())
	s.deploy(bundle(t, "app"))
	s.has("GET", "/app/early", 200, "hello ")
	s.has("GET", "/app/early", 200, "odac_register")
	if !strings.Contains(s.log.String(), "printed at start") {
		t.Error("what the guest printed is not in the log")
	}
}
