package build

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"text/template"

	"golang.org/x/mod/module"
)

const modulePath = "github.com/odac-run/odachost"

//go:embed all:scaffold
var scaffold embed.FS

// checkout is the source folder that the binary was built from, set by the linker (-X); see Checkout.
var checkout string

// Checkout is the folder of the source that this binary was built from, "" when it is not there (a released binary).
func Checkout() string {
	candidates := []string{checkout}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		candidates = append(candidates, filepath.Join(filepath.Dir(file), "..", "..", "..", ".."))
	}
	if exe, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Dir(filepath.Dir(exe))) // bin/odachost
	}
	for _, dir := range candidates {
		if dir != "" && isCheckout(dir) {
			return filepath.Clean(dir)
		}
	}
	return ""
}

func isCheckout(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && bytes.HasPrefix(mod, []byte("module "+modulePath+"\n"))
}

// New makes a plugin's folder, which must not exist or be empty; what fails leaves nothing behind. The plugin builds
// against the checkout source, without a network; source "" is [Checkout], and without one the plugin requires the
// released version that this binary is.
func New(ctx context.Context, dir, name, source string) (err error) {
	entries, err := os.ReadDir(dir)
	existed := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: name a new folder", dir)
	}
	requirement, source, err := requirementOf(source)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clean(dir, existed))
		}
	}()
	if err := unfold(dir, name); err != nil {
		return err
	}
	return goMod(ctx, dir, name, requirement, source)
}

// requirementOf says how go.mod asks for the SDK, and the checkout to copy checksums from.
func requirementOf(source string) (requirement, checkout string, err error) {
	switch {
	case source == "":
		source = Checkout()
	case !isCheckout(source):
		return "", "", fmt.Errorf("%s is no checkout of %s: it has no go.mod that says so", source, modulePath)
	}
	if source != "" {
		if source, err = filepath.Abs(source); err != nil {
			return "", "", err
		}
		return fmt.Sprintf("require %s v0.0.0\n\nreplace %s => %s\n", modulePath, modulePath, source), source, nil
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || !strings.HasPrefix(info.Main.Version, "v") || module.IsPseudoVersion(info.Main.Version) || strings.Contains(info.Main.Version, "+") {
		return "", "", errors.New("this odachost is no release, and the source that it was built from is not there: name a checkout with --source, or build with make build")
	}
	return fmt.Sprintf("require %s %s\n", modulePath, info.Main.Version), "", nil
}

// clean takes back what New made.
func clean(dir string, existed bool) error {
	if !existed {
		return os.RemoveAll(dir)
	}
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}

// unfold writes the scaffold's files.
func unfold(dir, name string) error {
	return fs.WalkDir(scaffold, "scaffold", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(scaffold, path)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, ".tmpl") {
			t, err := template.New(path).Delims("<<", ">>").Parse(string(text))
			if err != nil {
				return err
			}
			var out bytes.Buffer
			if err := t.Execute(&out, map[string]string{"Name": name}); err != nil {
				return err
			}
			text = out.Bytes()
		}
		relative := strings.TrimSuffix(strings.TrimPrefix(path, "scaffold/"), ".tmpl")
		file := filepath.Join(dir, filepath.FromSlash(relative))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, text, 0o644)
	})
}

// goMod writes go.mod and go.sum and has the Go command add what the SDK and its test package need.
func goMod(ctx context.Context, dir, name, requirement, source string) error {
	text := fmt.Sprintf("module example.com/%s\n\ngo %s\n\n%s", name, goVersion(), requirement)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
		return err
	}
	if source == "" {
		return goCommand(ctx, dir, nil, "mod", "tidy")
	}
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		return err
	}
	// The modules are where the checkout was built with them: nothing is downloaded.
	offline := []string{"GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off"}
	if err := goCommand(ctx, dir, append(offline, "GOOS=wasip1", "GOARCH=wasm"), "list", "-deps", "."); err != nil {
		return err
	}
	return goCommand(ctx, dir, offline, "list", "-deps", "-test", ".")
}

func goCommand(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, append(os.Environ(), env...), killTime
	killTogether(cmd)
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: install Go %s from https://go.dev/dl", err, goVersion())
	case err != nil:
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// goVersion is the language version of the Go that made this binary: what the SDK needs at most.
func goVersion() string {
	v := strings.TrimPrefix(runtime.Version(), "go")
	if parts := strings.SplitN(v, ".", 3); len(parts) >= 2 {
		return parts[0] + "." + parts[1]
	}
	return v
}
