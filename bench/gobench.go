package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// result is one line of go test -bench: its name without "Benchmark" and the number of CPUs, and a value for each unit.
type result struct {
	name   string
	values map[string]float64
}

// goBench compiles a package's tests and runs some of its benchmarks.
func (b *bench) goBench(ctx context.Context, pkg, pattern, time string) ([]result, error) {
	program := filepath.Join(b.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
	dir := filepath.Join(b.root, filepath.FromSlash(pkg))
	if _, err := os.Stat(program); err != nil {
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", program, ".")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compile the benchmarks of %s: %w: %s", pkg, err, text)
		}
	}
	cmd := exec.CommandContext(ctx, program, "-test.run=^$", "-test.bench="+pattern, "-test.benchtime="+time)
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("benchmarks %s of %s: %w: %s", pattern, pkg, err, text)
	}
	return parseBench(text), nil
}

func parseBench(text []byte) (results []result) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		name, ok := strings.CutPrefix(lines.Text(), "Benchmark")
		if !ok || len(fields) < 4 {
			continue
		}
		name = strings.Fields(name)[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			if _, err := strconv.Atoi(name[i+1:]); err == nil {
				name = name[:i]
			}
		}
		r := result{name: name, values: map[string]float64{}}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.values[fields[i+1]] = v
			}
		}
		results = append(results, r)
	}
	return results
}

// values are one unit of the results whose name begins so.
func values(results []result, prefix, unit string) (out []float64) {
	for _, r := range results {
		if v, ok := r.values[unit]; ok && strings.HasPrefix(r.name, prefix) {
			out = append(out, v)
		}
	}
	return out
}

const enginePackage = "host/internal/engine"

// engineBenchmarks are the figures that only the engine's own benchmarks can take.
func (b *bench) engineBenchmarks(ctx context.Context) error {
	overhead, err := b.goBench(ctx, enginePackage, "^BenchmarkOverhead$", "20x")
	if err != nil {
		return err
	}
	for name, unit := range map[string]string{"engine.interrupt.overhead_median": "median-%", "engine.interrupt.overhead_worst": "worst-%"} {
		over := values(overhead, "Overhead/all", unit)
		if len(over) == 0 {
			return fmt.Errorf("BenchmarkOverhead printed no %s", unit)
		}
		figure(name, 1+over[0]/100, "x", "over the module as it was")
	}

	stop, err := b.goBench(ctx, enginePackage, "^BenchmarkStop$", "100x")
	if err != nil {
		return err
	}
	late, all := values(stop, "Stop/", "p99-ms"), values(stop, "Stop/all", "all-p99-ms")
	if len(late) == 0 || len(all) == 0 {
		return fmt.Errorf("BenchmarkStop printed no p99-ms")
	}
	figure("engine.stop.p99_ms", all[0], "ms", fmt.Sprintf("(of 100 stops of each of %d shapes; the worst shape's %.1f)", len(late), slices.Max(late)))

	idle, err := b.goBench(ctx, enginePackage, "^BenchmarkIdleInstance$", "1x")
	if err != nil {
		return err
	}
	for _, v := range values(idle, "IdleInstance", "private-KiB") {
		figure("engine.instance.private_kib", v, "KiB")
	}
	fuel, err := b.goBench(ctx, enginePackage, "^BenchmarkFuel$", "20x")
	if err != nil {
		return err
	}
	counted := values(fuel, "Fuel/all", "median-%")
	if len(counted) == 0 {
		return fmt.Errorf("BenchmarkFuel printed no median-%%")
	}
	figure("engine.fuel.overhead_median", 1+counted[0]/100, "x", "over not counting")
	return nil
}

// peer is the note about a peer that was measured n times; nothing if it was not.
func peer(name string, value float64, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("peer %s %.3f", name, value)
}
