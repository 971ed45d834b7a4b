package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/odac-run/odachost/host"
)

// suites by name.
var suites = map[string]func(context.Context, *bench) error{
	"database": suiteDatabase,
	"engine":   suiteEngine,
	"idle":     suiteIdle,
	"main":     suiteMain,
	"migrate":  suiteMigrate,
}

// bench is one run: where the checkout is, and a folder for what it makes.
type bench struct {
	root, dir string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		bare(os.Args[2])
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "compile" {
		os.Exit(host.CompileMain(os.Args[2:], os.Stdin, os.Stderr))
	}
	name := "main"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, name); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name string) error {
	suite, ok := suites[name]
	if !ok {
		var known []string
		for k := range suites {
			known = append(known, k)
		}
		slices.Sort(known)
		return fmt.Errorf("no suite %q: SUITE is one of %s", name, strings.Join(known, ", "))
	}
	root, err := checkout()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "odachost-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("# suite %s, %s, %d CPUs, %s\n", name, cpuModel(), runtime.NumCPU(), runtime.Version())
	return suite(ctx, &bench{root: root, dir: dir})
}

// checkout finds the product's root from where the command runs.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "odachost")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("run this inside the checkout of odachost")
		}
	}
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}

// figure prints one result.
func figure(name string, value float64, unit string, notes ...string) {
	line := fmt.Sprintf("figure %s %.3f %s", name, value, unit)
	for _, note := range notes {
		if note != "" {
			line += " " + note
		}
	}
	fmt.Println(line)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
