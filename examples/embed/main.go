//go:build !wasip1

// Command embed is a Go program that has plugins: it packs one, deploys it, calls its function, and serves it beside its own pages.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cfg := host.Config{DataDir: filepath.Join(os.TempDir(), "odachost-embed")}
	if err := run(ctx, os.Stdout, cfg, "examples/embed/greeter", "127.0.0.1:8081"); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, cfg host.Config, plugin, listen string) (err error) {
	// A host has everything that plugins need: databases, cache, buffer and sockets are below its data folder.
	h, err := host.New(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close(context.Background())) }()

	// A plugin is a folder with a manifest and a module; packed, it is one file. What is deployed already is not deployed again.
	build := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-o", plugins.DefaultWasm, ".")
	build.Dir, build.Env = plugin, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the plugin: %w\n%s", err, output)
	}
	bundle, err := plugins.Pack(plugin)
	if err != nil {
		return err
	}
	if _, err := h.Deploy(ctx, bundle, host.DeployOptions{Approve: true}); err != nil {
		return err
	}

	// The program calls the plugin's functions, and the plugin answers below its mount, /greet. Other paths are the program's own.
	answer, err := h.Call(ctx, host.DefaultTenant, "greeter", "greet", []byte("gopher"))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, string(answer))
	mux := http.NewServeMux()
	mux.Handle("/greet/", h)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "This page is the program's.") })

	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "serving on http://%s/greet/gopher\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return server.Shutdown(context.WithoutCancel(ctx))
	}
}
