//go:build !unix

package build

import "os/exec"

// killTogether does nothing here: the command alone is killed, and what it started ends by itself.
func killTogether(*exec.Cmd) {}
