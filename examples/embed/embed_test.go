//go:build !wasip1

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestRun starts the program twice on one data folder, as a user would.
func TestRun(t *testing.T) {
	testkit.BuildGuest(t, "greeter") // so that a change of it runs the test again

	cfg := host.Config{DataDir: t.TempDir(), CacheDir: filepath.Join(os.TempDir(), "odachost-test-cache")} // compiled code is kept
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		out, in := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := run(ctx, in, cfg, "greeter", "127.0.0.1:0")
			in.CloseWithError(io.ErrUnexpectedEOF)
			ended <- err
		}()
		lines := bufio.NewScanner(out)
		if lines.Scan(); lines.Text() != "Good morning, gopher!" {
			cancel()
			t.Fatalf("printed %q, want the plugin's answer (%v)", lines.Text(), <-ended)
		}
		lines.Scan()
		address := strings.TrimSuffix(strings.TrimPrefix(lines.Text(), "serving on "), "/greet/gopher")
		for path, want := range map[string]string{"/greet/world": "Good morning, world!\n", "/": "This page is the program's.\n"} {
			if got := get(t, address+path); got != want {
				t.Errorf("GET %s = %q, want %q", path, got, want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	empty := t.TempDir()
	err := run(t.Context(), io.Discard, host.Config{DataDir: t.TempDir()}, empty, "127.0.0.1:0")
	if err == nil || !strings.Contains(err.Error(), "build the plugin") {
		t.Errorf("%v, want an error that names the step", err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
