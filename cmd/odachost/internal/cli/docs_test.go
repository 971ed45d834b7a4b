package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

// code gives the blocks of a language in a guide of docs.
func code(t *testing.T, guide, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", guide))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, at := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, at[1])
	}
	return blocks
}

// TestGuides holds the guides to what they show.
func TestGuides(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"authors.yaml": "columns: {id: {type: increments}}\n"}
	manifests := 0
	for _, block := range code(t, "plugin.md", "yaml") {
		if strings.HasPrefix(block, "columns:") {
			files["posts.yaml"] = block
			continue
		}
		if manifests++; strings.HasPrefix(block, "capabilities:") { // a part of one
			block = "name: blog\nversion: 1.0.0\n" + block
		}
		if _, err := plugins.ParseManifest("plugin.md", []byte(block)); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
	if manifests == 0 || len(files) != 2 {
		t.Errorf("plugin.md has %d manifests and the tables %v", manifests, files)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := migrate.LoadFS(os.DirFS(dir), "."); err != nil {
		t.Error(err)
	}

	program := filepath.Join(dir, "main.go")
	if err := os.WriteFile(program, []byte(code(t, "embed.md", "go")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", program).CombinedOutput(); err != nil {
		t.Errorf("embed.md: %v\n%s", err, out)
	}
}

// TestGuideLimits compares plugin.md's table with the limits themselves.
func TestGuideLimits(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "plugin.md"))
	if err != nil {
		t.Fatal(err)
	}
	def, most := plugins.DefaultLimits(), plugins.MaxLimits()
	d, s := plugins.FormatDuration, plugins.FormatSize
	for keys, want := range map[string]string{
		"`time`":             d(def.Time) + " | " + d(most.Time),
		"`start`":            d(def.StartTime) + " | " + d(most.StartTime),
		"`memory`":           s(def.MemoryBytes) + " | " + s(most.MemoryBytes),
		"`body`, `response`": s(def.BodyBytes) + ", " + s(def.ResponseBytes) + " | " + s(most.BodyBytes),
		"`instances`":        fmt.Sprint(def.MaxInstances, " | ", most.MaxInstances),
		"`queue`":            d(def.QueueTime) + " | " + d(most.QueueTime),
		"`host_calls`":       fmt.Sprint(def.MaxHostCalls, " | ", most.MaxHostCalls),
		"`fuel`":             fmt.Sprint("none | ", most.MaxFuel),
		"`rows`, `result`":   fmt.Sprint(def.MaxRows, ", ", s(def.ResultBytes), " | ", most.MaxRows, ", ", s(most.ResultBytes)),
		"`requests`":         fmt.Sprint(def.MaxRequests, " | ", most.MaxRequests),
		"`log_lines`":        fmt.Sprint(def.MaxLogLines, " | ", most.MaxLogLines),
		"`sockets`":          fmt.Sprint(def.MaxSockets, " | ", most.MaxSockets),
		"`message`":          s(def.MessageBytes) + " | " + s(most.MessageBytes),
		"`vars`":             s(def.VarBytes) + " | " + s(most.VarBytes),
	} {
		line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(keys) + ` \|.*$`).FindString(string(text))
		if !strings.HasSuffix(line, "| "+want+" |") {
			t.Errorf("%s: the guide says %q, the limits are %s", keys, line, want)
		}
	}
}
