package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	rounds    = 3
	loadTime  = 4 * time.Second
	starts    = 5
	swaps     = 3
	helloText = "Hello, world"
)

// suiteMain is the main job: HTTP through a plugin against bare net/http, start and swap.
func suiteMain(ctx context.Context, b *bench) error {
	program, err := b.binary(ctx)
	if err != nil {
		return err
	}
	if err := b.http(ctx, program); err != nil {
		return err
	}
	return b.swap(ctx, program)
}

// http alternates the bare server and the three routes, both servers up all the time, one loaded at a time.
func (b *bench) http(ctx context.Context, program string) error {
	bareAddress, err := address()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	peer, err := start(ctx, b.dir, bareAddress, "/", self, "bare", bareAddress)
	if err != nil {
		return err
	}
	defer peer.stop()
	host, err := b.serve(ctx, program)
	if err != nil {
		return err
	}
	defer func() { host.stop() }()
	if err := check(host); err != nil {
		return err
	}
	urls := map[string]string{"hello": host.url + "/hello/", "row": host.url + "/row/1", "cachedrow": host.url + "/row/cached/1"}
	ratios, rps, p99 := map[string][]float64{}, map[string][]float64{}, []float64{}
	for range rounds {
		base, err := wrk(ctx, peer.url+"/", loadTime)
		if err != nil {
			return err
		}
		rps["bare"] = append(rps["bare"], base.rps)
		for _, name := range []string{"hello", "row", "cachedrow"} {
			l, err := wrk(ctx, urls[name], loadTime)
			if err != nil {
				return err
			}
			if l.errors > 0 {
				return fmt.Errorf("%s: %d failed requests", name, l.errors)
			}
			ratios[name], rps[name] = append(ratios[name], l.rps/base.rps), append(rps[name], l.rps)
			if name == "hello" {
				p99 = append(p99, float64(l.p99)/float64(time.Millisecond))
			}
		}
	}
	for _, name := range []string{"hello", "row", "cachedrow"} {
		figure("main.http."+name+".rps_ratio", median(ratios[name]), "x",
			fmt.Sprintf("peer net/http %.0f/s (this %.0f/s)", median(rps["bare"]), median(rps[name])))
	}
	figure("main.http.hello.p99_ms", median(p99), "ms")
	host.stop()
	return b.starts(ctx, program)
}

// serve deploys hello and row, and starts the host on them.
func (b *bench) serve(ctx context.Context, program string) (*server, error) {
	a, err := address()
	if err != nil {
		return nil, err
	}
	return start(ctx, b.dir, a, "/hello/", program, "serve", "--listen", a, "--data", filepath.Join(b.dir, "data"),
		"--deploy", filepath.Join(b.root, "examples", "hello"), "--deploy", filepath.Join(b.root, "bench", "plugins", "row"))
}

// check asks each route once, and that the cached one reads the same.
func check(host *server) error {
	row, err := get(host.url + "/row/1")
	if err != nil {
		return err
	}
	cached, err := get(host.url + "/row/cached/1")
	if err != nil {
		return err
	}
	if len(row) == 0 || string(row) != string(cached) {
		return fmt.Errorf("row answers %q, cached row %q", row, cached)
	}
	return nil
}

// starts measures process start to first answer with everything deployed and compiled before.
func (b *bench) starts(ctx context.Context, program string) error {
	var took []float64
	for range starts {
		a, err := address()
		if err != nil {
			return err
		}
		began := time.Now()
		s, err := start(ctx, b.dir, a, "/hello/", program, "serve", "--listen", a, "--data", filepath.Join(b.dir, "data"))
		if err != nil {
			return err
		}
		took = append(took, float64(time.Since(began))/float64(time.Millisecond))
		s.stop()
	}
	figure("main.start_ms", median(took), "ms")
	return nil
}

// swap measures from a saved source file to the first answer of the new code, under dev.
func (b *bench) swap(ctx context.Context, program string) error {
	project := filepath.Join(b.dir, "project")
	if out, err := command(ctx, b.dir, program, "new", project); err != nil {
		return fmt.Errorf("odachost new: %w: %s", err, out)
	}
	main := filepath.Join(project, "main.go")
	content, err := os.ReadFile(filepath.Join(b.root, "examples", "hello", "main.go"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(main, content, 0o644); err != nil {
		return err
	}
	a, err := address()
	if err != nil {
		return err
	}
	s, err := start(ctx, project, a, "/", program, "dev", "--listen", a, "--data", filepath.Join(b.dir, "devdata"))
	if err != nil {
		return err
	}
	defer s.stop()
	var took []float64
	text := helloText
	for i := range swaps {
		next := fmt.Sprintf("Hello, swap %d", i)
		began := time.Now()
		if err := replaceIn(main, text, next); err != nil {
			return err
		}
		if err := s.wait(ctx, "/", 30*time.Second, []byte(next)); err != nil {
			return err
		}
		took = append(took, float64(time.Since(began))/float64(time.Millisecond))
		text = next
	}
	figure("main.swap_ms", median(took), "ms")
	return nil
}

// command runs a program to its end and gives what it printed.
func command(ctx context.Context, dir, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}
