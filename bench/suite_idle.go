package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/odac-run/odachost/host"
)

const (
	idlePlugins = 1000 // IDLE_PLUGINS changes it
	idleWorkers = 4
	idleTenants = 100
	idleWakes   = 50
)

// suiteIdle has a thousand plugins of a hundred tenants on one host that nobody calls: what they take, how long a host
// with them takes to start, and how long one takes to wake.
func suiteIdle(ctx context.Context, b *bench) (err error) {
	wasm, err := b.guest(ctx, filepath.Join(b.root, "examples", "hello"))
	if err != nil {
		return err
	}
	empty, err := residentMiB()
	if err != nil {
		return err
	}
	short := func(c *host.Config) { c.SleepTime = 2 * time.Second }
	h, err := b.open(ctx, "idle", short)
	if err != nil {
		return err
	}
	count := idlePlugins
	if n, err := strconv.Atoi(os.Getenv("IDLE_PLUGINS")); err == nil {
		count = n
	}
	began := time.Now()
	var failed [idleWorkers]error
	var work sync.WaitGroup
	for w := range idleWorkers {
		work.Go(func() {
			for i := w; i < count && failed[w] == nil; i += idleWorkers {
				bundle, err := b.bundle(wasm, fmt.Sprintf("name: hello-%d\nversion: 1.0.0\nmount: /hello-%d\n", i, i))
				if err == nil {
					_, err = h.Deploy(ctx, bundle, host.DeployOptions{Tenant: fmt.Sprintf("tenant-%d", i%idleTenants), Approve: true})
				}
				failed[w] = err
			}
		})
	}
	work.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return errors.Join(err, h.Close(ctx))
	}
	figure("idle.deploy_ms", ms(began)/float64(count), "ms", "(each, packing included)")
	if err := sleeping(ctx, h, count); err != nil {
		return errors.Join(err, h.Close(ctx))
	}
	after, err := residentMiB()
	if err != nil {
		return errors.Join(err, h.Close(ctx))
	}
	figure("idle.rss_mib", after, "MiB", fmt.Sprintf("(%d plugins; %.0f before them)", count, empty))
	if err := h.Close(ctx); err != nil {
		return err
	}
	began = time.Now()
	if h, err = b.open(ctx, "idle"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close(ctx)) }()
	figure("idle.start_ms", ms(began), "ms")
	var took []float64
	for _, p := range h.Plugins() {
		if !p.Asleep || len(took) == idleWakes {
			continue
		}
		began := time.Now()
		// It has no such function: the answer is the plugin's own error.
		var refused *host.PluginError
		if _, err := h.Call(ctx, p.Tenant, p.Name, "nothing", nil); !errors.As(err, &refused) {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		took = append(took, ms(began))
	}
	if len(took) == 0 {
		return errors.New("no plugin began asleep")
	}
	figure("idle.wake_ms", median(took), "ms", fmt.Sprintf("(longest of %d: %.1f)", len(took), slices.Max(took)))
	return nil
}

// sleeping waits until so many plugins sleep.
func sleeping(ctx context.Context, h *host.Host, n int) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		asleep := 0
		for _, p := range h.Plugins() {
			if p.Asleep {
				asleep++
			}
		}
		if asleep == n {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("%d of %d plugins sleep after a minute", asleep, n)
		}
	}
}
