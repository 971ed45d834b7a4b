//go:build unix

package build

import (
	"os/exec"
	"syscall"
)

// killTogether puts the command into a process group of its own, so that its end is the end of the compilers that it
// started too.
func killTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
