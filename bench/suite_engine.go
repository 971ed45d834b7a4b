package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

// suiteEngine measures the sandbox: the same wasm on odachost, on the Extism Go SDK and on bare wazero, in turns. What
// cannot be reached over the public API is measured by the engine's own benchmarks, in the same run.
func suiteEngine(ctx context.Context, b *bench) error {
	wasm, err := b.guest(ctx, filepath.Join(b.root, "bench", "plugins", "echo"))
	if err != nil {
		return err
	}
	if err := b.echo(ctx, wasm); err != nil {
		return err
	}
	if err := b.pdkEcho(ctx); err != nil {
		return err
	}
	if err := b.loads(ctx, wasm); err != nil {
		return err
	}
	if err := b.swapMemory(ctx, wasm); err != nil {
		return err
	}
	return b.engineBenchmarks(ctx)
}

// guest compiles a plugin as odachost build does.
func (b *bench) guest(ctx context.Context, dir string) ([]byte, error) {
	out := filepath.Join(b.dir, filepath.Base(dir)+".wasm")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w: %s", dir, err, text)
	}
	return os.ReadFile(out)
}

// bundle packs a module with a manifest.
func (b *bench) bundle(wasm []byte, manifest string) (*plugins.Bundle, error) {
	dir, err := os.MkdirTemp(b.dir, "bundle-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "plugin.yaml"), []byte(manifest), 0o644); err != nil {
		return nil, err
	}
	return pack(dir, wasm)
}

// pack packs a plugin's folder with a module.
func pack(dir string, wasm []byte) (*plugins.Bundle, error) {
	if err := os.WriteFile(filepath.Join(dir, "plugin.wasm"), wasm, 0o644); err != nil {
		return nil, err
	}
	return plugins.Pack(dir)
}

// open starts a host in this process, which compiles plugins as odachost serve does, by a process of this program.
func (b *bench) open(ctx context.Context, name string, change ...func(*host.Config)) (*host.Host, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cfg := host.Config{DataDir: filepath.Join(b.dir, name), Compiler: []string{program, "compile"}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, f := range change {
		f(&cfg)
	}
	return host.New(ctx, cfg)
}

// caller does one call and says whether the answer was right.
type caller func() error

const echoRounds = 3

// echo measures calls that answer their input.
func (b *bench) echo(ctx context.Context, wasm []byte) (err error) {
	h, err := b.open(ctx, "echo")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	for _, isolation := range []string{"fresh", "warm"} {
		bundle, err := b.bundle(wasm, "name: "+isolation+"\nversion: 1.0.0\nmount: /"+isolation+"\nisolation: "+isolation+"\n")
		if err != nil {
			return err
		}
		if _, err := h.Deploy(ctx, bundle, host.DeployOptions{Approve: true}); err != nil {
			return err
		}
	}
	extism, err := newExtism(ctx, wasm, "")
	if err != nil {
		return err
	}
	defer extism.close(ctx)
	bare, err := newBare(ctx, wasm, "")
	if err != nil {
		return err
	}
	defer bare.close(ctx)
	ours := func(plugin string, body []byte) caller {
		return func() error {
			out, err := h.Call(ctx, "", plugin, "echo", body)
			return same(out, body, err)
		}
	}
	body := func(n int) []byte { return bytes.Repeat([]byte("odachost"), n/8) }
	type side struct {
		name  string
		calls int
		call  caller
	}
	for _, c := range []struct {
		name  string
		sides []side
	}{
		{"engine.fresh.echo64", []side{{"", 4000, ours("fresh", body(64))}, {"extism-go-sdk", 60, extism.fresh(ctx, body(64))}, {"wazero", 60, bare.fresh(ctx, body(64))}}},
		{"engine.fresh.echo4k", []side{{"", 4000, ours("fresh", body(4096))}, {"extism-go-sdk", 60, extism.fresh(ctx, body(4096))}, {"wazero", 60, bare.fresh(ctx, body(4096))}}},
		{"engine.warm.echo64", []side{{"", 20000, ours("warm", body(64))}, {"extism-go-sdk", 2000, extism.warm(ctx, body(64))}, {"wazero", 20000, bare.warm(ctx, body(64))}}},
		{"engine.warm.echo64k", []side{{"", 2000, ours("warm", body(65536))}, {"extism-go-sdk", 100, extism.warm(ctx, body(65536))}, {"wazero", 2000, bare.warm(ctx, body(65536))}}},
	} {
		p50s, p99s := make([][]float64, len(c.sides)), make([][]float64, len(c.sides))
		for range echoRounds {
			for i, s := range c.sides {
				p50, p99, err := timed(s.calls, s.call)
				if err != nil {
					return fmt.Errorf("%s %s: %w", c.name, s.name, err)
				}
				p50s[i], p99s[i] = append(p50s[i], p50), append(p99s[i], p99)
			}
		}
		peers := func(values [][]float64) (notes []string) {
			for i, s := range c.sides[1:] {
				notes = append(notes, fmt.Sprintf("peer %s %.3f", s.name, median(values[i+1])))
			}
			return notes
		}
		figure(c.name+".p50_us", median(p50s[0]), "us", peers(p50s)...)
		if c.name == "engine.fresh.echo64" {
			figure(c.name+".p99_us", median(p99s[0]), "us", peers(p99s)...)
		}
	}
	return nil
}

func same(got, want []byte, err error) error {
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("answered %d bytes, not the %d it was given", len(got), len(want))
	}
	return err
}

// timed gives the median and the 99th percentile of n calls in microseconds, after some that are not counted.
func timed(n int, call caller) (p50, p99 float64, err error) {
	for range min(n, 100) {
		if err := call(); err != nil {
			return 0, 0, err
		}
	}
	runtime.GC()
	took := make([]float64, n)
	for i := range took {
		began := time.Now()
		err := call()
		took[i] = float64(time.Since(began)) / float64(time.Microsecond)
		if err != nil {
			return 0, 0, err
		}
	}
	slices.Sort(took)
	return took[n/2], took[n*99/100], nil
}

// loads measures from bytes to a plugin that answers: cold, and from code compiled before. Ours from the cache is a plugin
// that slept and wakes for a call, reading and checking its bundle included.
func (b *bench) loads(ctx context.Context, wasm []byte) error {
	const cold, cached = 2, 9
	bundle, err := b.bundle(wasm, "name: load\nversion: 1.0.0\nmount: /load\n")
	if err != nil {
		return err
	}
	var colds, cacheds [3][]float64
	for i := range cold {
		took, err := b.coldLoad(ctx, bundle, i)
		if err != nil {
			return err
		}
		colds[0] = append(colds[0], took)
		for side, load := range b.peerLoads(ctx, wasm) {
			if took, err = load(fmt.Sprint("cold", i)); err != nil {
				return err
			}
			colds[side+1] = append(colds[side+1], took)
		}
	}
	h, err := b.open(ctx, "wake", func(c *host.Config) { c.SleepTime = 20 * time.Millisecond })
	if err != nil {
		return err
	}
	if _, err = h.Deploy(ctx, bundle, host.DeployOptions{Approve: true}); err == nil {
		for range cached {
			if err = sleeping(ctx, h, 1); err != nil {
				break
			}
			runtime.GC()
			began := time.Now()
			if _, err = h.Call(ctx, "", "load", "echo", []byte("text")); err != nil {
				break
			}
			cacheds[0] = append(cacheds[0], ms(began))
			for side, load := range b.peerLoads(ctx, wasm) {
				runtime.GC()
				var took float64
				if took, err = load("cold0"); err != nil {
					break
				}
				cacheds[side+1] = append(cacheds[side+1], took)
			}
		}
	}
	if err := errors.Join(err, h.Close(ctx)); err != nil {
		return err
	}
	for name, values := range map[string][3][]float64{"engine.load.cold_ms": colds, "engine.load.cached_ms": cacheds} {
		figure(name, median(values[0]), "ms", peer("extism-go-sdk", median(values[1]), 1), peer("wazero", median(values[2]), 1))
	}
	return nil
}

func ms(since time.Time) float64 { return float64(time.Since(since)) / float64(time.Millisecond) }

// coldLoad deploys on a host that has compiled nothing.
func (b *bench) coldLoad(ctx context.Context, bundle *plugins.Bundle, i int) (took float64, err error) {
	h, err := b.open(ctx, fmt.Sprint("cold", i))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = h.Deploy(ctx, bundle, host.DeployOptions{Approve: true})
	took = ms(began)
	return took, errors.Join(err, h.Close(ctx))
}

// peerLoads load the module on each peer with a folder of compiled code, and call it once.
func (b *bench) peerLoads(ctx context.Context, wasm []byte) [2]func(dir string) (float64, error) {
	return [2]func(string) (float64, error){
		func(dir string) (float64, error) {
			began := time.Now()
			p, err := newExtism(ctx, wasm, filepath.Join(b.dir, "extism-"+dir))
			if err != nil {
				return 0, err
			}
			defer p.close(ctx)
			return ms(began), nil
		},
		func(dir string) (float64, error) {
			began := time.Now()
			p, err := newBare(ctx, wasm, filepath.Join(b.dir, "wazero-"+dir))
			if err != nil {
				return 0, err
			}
			defer p.close(ctx)
			if err := p.warm(ctx, []byte("text"))(); err != nil {
				return 0, err
			}
			return ms(began), nil
		},
	}
}

// swapMemory is how the resident memory of a host grows over swaps of a plugin that is called in between.
func (b *bench) swapMemory(ctx context.Context, wasm []byte) (err error) {
	const settle, swaps = 30, 300
	var versions []*plugins.Bundle
	for i := range 2 {
		bundle, err := b.bundle(wasm, fmt.Sprintf("name: swap\nversion: 1.0.%d\nmount: /swap\n", i))
		if err != nil {
			return err
		}
		versions = append(versions, bundle)
	}
	h, err := b.open(ctx, "swap")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	var before float64
	for i := range settle + swaps {
		if i == settle {
			if before, err = residentMiB(); err != nil {
				return err
			}
		}
		if _, err := h.Deploy(ctx, versions[i%2], host.DeployOptions{Approve: true}); err != nil {
			return err
		}
		if _, err := h.Call(ctx, "", "swap", "echo", []byte("text")); err != nil {
			return err
		}
	}
	after, err := residentMiB()
	if err != nil {
		return err
	}
	figure("engine.swap.rss_ratio", after/before, "x", fmt.Sprintf("(%d swaps, %.0f to %.0f MiB)", swaps, before, after))
	return nil
}

// residentMiB is what this process holds after its garbage is collected and what is unmapped by finalizers has gone.
func residentMiB() (float64, error) {
	for range 3 {
		runtime.GC()
		time.Sleep(100 * time.Millisecond)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kib); n == 1 {
			return kib / 1024, nil
		}
	}
	return 0, errors.New("no VmRSS in /proc/self/status")
}
