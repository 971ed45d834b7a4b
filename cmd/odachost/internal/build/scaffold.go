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
)

const module = "github.com/odac-run/odachost"

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
		candidates = append(candidates, filepath.Dir(filepath.Dir(exe)))
	}
	for _, dir := range candidates {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); dir != "" && err == nil && bytes.HasPrefix(mod, []byte("module "+module+"\n")) {
			return filepath.Clean(dir)
		}
	}
	return ""
}

// New makes a plugin's folder, which must not exist or be empty. The plugin builds against the checkout that made this
// binary, without a network; a released binary's plugin requires the released version.
func New(ctx context.Context, dir, name string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a new folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := fs.WalkDir(scaffold, "scaffold", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(scaffold, path)
		if err != nil {
			return err
		}
		relative := strings.TrimSuffix(strings.TrimPrefix(path, "scaffold/"), ".tmpl")
		return write(filepath.Join(dir, filepath.FromSlash(relative)), string(text), name)
	})
	if err != nil {
		return err
	}
	return goMod(ctx, dir, name)
}

func write(file, text, name string) error {
	t, err := template.New(filepath.Base(file)).Delims("<<", ">>").Parse(text)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, map[string]string{"Name": name}); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}

// goMod writes go.mod and go.sum and has the Go command add what the SDK needs.
func goMod(ctx context.Context, dir, name string) error {
	source := Checkout()
	var mod bytes.Buffer
	fmt.Fprintf(&mod, "module %s\n\ngo %s\n\n", name, goVersion())
	if source == "" {
		fmt.Fprintf(&mod, "require %s %s\n", module, released())
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), mod.Bytes(), 0o644); err != nil {
			return err
		}
		return goCommand(ctx, dir, nil, "mod", "tidy")
	}
	fmt.Fprintf(&mod, "require %s v0.0.0\n\nreplace %s => %s\n", module, module, source)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), mod.Bytes(), 0o644); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		return err
	}
	// The modules are where the checkout was built with them: nothing is downloaded.
	return goCommand(ctx, dir, []string{"GOPROXY=off", "GOFLAGS=-mod=mod", "GOOS=wasip1", "GOARCH=wasm"}, "list", "-deps", ".")
}

func goCommand(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func released() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "latest"
}

func goVersion() string {
	v := strings.TrimPrefix(runtime.Version(), "go")
	if parts := strings.SplitN(v, ".", 3); len(parts) >= 2 {
		return parts[0] + "." + parts[1]
	}
	return v
}
