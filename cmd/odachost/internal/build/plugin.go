package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/odac-run/odachost/plugins"
)

// killTime is how long a build that was told to end may keep its pipes open.
const killTime = 2 * time.Second

// Error says that a plugin's build command failed.
type Error struct {
	// Command is what was run, Output what it printed.
	Command, Output string
	Err             error
}

// Error has the compiler's words below the command.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %v", e.Command, e.Err)
	if e.Output != "" {
		text += "\n" + e.Output
	}
	return text
}

// Unwrap gives what became of the process.
func (e *Error) Unwrap() error { return e.Err }

// Plugin runs the build command of the folder's plugin.yaml. The error is a *Error, or that of the manifest. When ctx ends,
// the command and what it started are killed.
func Plugin(ctx context.Context, dir string) error {
	manifest, err := plugins.ReadManifest(dir)
	if err != nil {
		return err
	}
	argv, env := manifest.BuildCommand()
	if argv == nil {
		return nil
	}
	var printed bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, append(os.Environ(), env...), &printed, &printed, killTime
	killTogether(cmd)
	err = cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		err = fmt.Errorf("%w: install it, or set build in %s", err, plugins.ManifestName)
	}
	return &Error{strings.Join(argv, " "), string(bytes.TrimSpace(printed.Bytes())), err}
}
