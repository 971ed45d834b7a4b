package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/odac-run/odachost/plugins"
)

// Plugin runs the build command of the folder's plugin.yaml. The error holds what the compiler printed.
func Plugin(ctx context.Context, dir string) error {
	manifest, err := plugins.ReadManifest(dir)
	if err != nil {
		return err
	}
	argv, env := manifest.BuildCommand()
	var printed bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &printed, &printed
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("build %s: %w: install it, or set build in plugin.yaml", manifest.Name, err)
		}
		return fmt.Errorf("build %s: %s: %w\n%s", manifest.Name, strings.Join(argv, " "), err, bytes.TrimSpace(printed.Bytes()))
	}
	return nil
}
