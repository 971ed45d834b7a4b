package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	extism "github.com/extism/go-sdk"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

// pair is one Extism plugin in odachost and in Extism's Go SDK, from the same bytes.
type pair struct {
	ours   *host.Host
	theirs *extism.Plugin
}

// pairManifest is the plugin for both sides; theirs has the same configuration, limits and hosts.
const pairManifest = `name: pdk
version: 1.0.0
mount: /pdk
extism: {log: warn}
isolation: single
capabilities:
  http: {hosts: [127.0.0.1]}
limits: {time: 2s, vars: 1000, body: 2MiB, log_lines: 10000, memory: 256MiB}
config:
  greeting: hello
`

// newPair builds the host's test plugin and loads it on both sides, below dir.
func newPair(ctx context.Context, root, dir string) (*pair, error) {
	folder := filepath.Join(dir, "pdk")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(folder, plugins.DefaultWasm)
	build := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-o", file, "./host/testdata/guests/pdkgo")
	build.Dir = root
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(folder, plugins.ManifestName), []byte(pairManifest), 0o600); err != nil {
		return nil, err
	}
	p := new(pair)
	var err error
	if p.ours, err = host.New(ctx, host.Config{DataDir: filepath.Join(dir, "data"), Logger: slog.New(slog.DiscardHandler), PrivateHosts: []string{"127.0.0.1"}}); err != nil {
		return nil, err
	}
	bundle, err := plugins.Folder(folder).Load(ctx)
	if err == nil {
		_, err = p.ours.Deploy(ctx, bundle, host.DeployOptions{Approve: true, By: "bench"})
	}
	if err == nil {
		p.theirs, err = extism.NewPlugin(ctx, extism.Manifest{
			Wasm:         []extism.Wasm{extism.WasmFile{Path: file}},
			Config:       map[string]string{"greeting": "hello"},
			AllowedHosts: []string{"127.0.0.1"},
			Timeout:      2000,
			Memory:       &extism.ManifestMemory{MaxVarBytes: 1000, MaxHttpResponseBytes: 4 << 20},
		}, extism.PluginConfig{EnableWasi: true, EnableHttpResponseHeaders: true}, nil)
	}
	if err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

func (p *pair) close(ctx context.Context) error {
	var errs []error
	if p.theirs != nil {
		errs = append(errs, p.theirs.Close(ctx))
	}
	return errors.Join(append(errs, p.ours.Close(ctx))...)
}

// pdkEcho is an echo through Extism's Go PDK, both instances reused, calls in turn.
func (b *bench) pdkEcho(ctx context.Context) error {
	p, err := newPair(ctx, b.root, b.dir)
	if err != nil {
		return err
	}
	defer func() { _ = p.close(ctx) }() // the process ends
	for _, size := range []struct {
		name  string
		bytes int
		calls int
	}{{"64", 64, 20000}, {"64k", 64 << 10, 500}} {
		input := make([]byte, size.bytes)
		var ours, theirs []float64
		for range size.calls {
			begun := time.Now()
			if _, err := p.ours.Call(ctx, "", "pdk", "echo", input); err != nil {
				return err
			}
			middle := time.Now()
			if _, _, err := p.theirs.CallWithContext(ctx, "echo", input); err != nil {
				return err
			}
			ours, theirs = append(ours, float64(middle.Sub(begun).Nanoseconds())/1000), append(theirs, float64(time.Since(middle).Nanoseconds())/1000)
		}
		figure("engine.pdk.echo"+size.name+".p50_us", median(ours), "us", fmt.Sprintf("peer extism-go-sdk %.1f", median(theirs)))
	}
	return nil
}
