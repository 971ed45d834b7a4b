package host_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/plugins"
)

const (
	linesBefore = "columns:\n  id: increments\n  title: {type: string, length: 100, nullable: false}\n  n: {type: string, length: 20}\n"
	linesAfter  = "columns:\n  id: increments\n  headline: {type: string, length: 100, nullable: false, renamedFrom: title}\n  n: {type: integer}\n"
)

// columnRevision packs the guest column with a schema, its configuration changed by pairs.
func columnRevision(t *testing.T, version, schema string, pairs ...string) *plugins.Bundle {
	t.Helper()
	from, dir := filepath.Join("testdata", "guests", "column"), t.TempDir()
	manifest, err := os.ReadFile(filepath.Join(from, "plugin.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(append([]string{"1.0.0", version}, pairs...)...).Replace(string(manifest))
	write(t, filepath.Join(dir, "plugin.yaml"), []byte(text))
	write(t, filepath.Join(dir, "plugin.wasm"), testkit.BuildGuest(t, from))
	if err := os.Mkdir(filepath.Join(dir, "schema"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "schema", "lines.yaml"), []byte(schema))
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func soaking(d time.Duration) func(*host.Config) {
	return func(c *host.Config) { c.Deploy.SoakTime = d }
}

// left is what the schema of what serves still wants.
func (s *site) left() string {
	s.t.Helper()
	list, err := s.Migrate(s.t.Context(), "red", "column", false, "")
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, m := range list {
		for _, step := range m.Plan.Steps {
			out = append(out, string(step.Kind)+" "+step.Summary)
		}
	}
	return strings.Join(out, "; ")
}

func (s *site) serving() (version string, onTrial bool) {
	for _, p := range s.Plugins() {
		if p.Name == "column" {
			return p.Version, !p.TrialUntil.IsZero()
		}
	}
	return "", false
}

// writers post values all the time until stop, which gives those that were accepted.
func (s *site) writers(n int) (stop func() []string) {
	var mu sync.Mutex
	var accepted []string
	var wg sync.WaitGroup
	done := make(chan struct{})
	for w := range n {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				value := fmt.Sprintf("w%d-%d", w, i)
				status, text := s.do("POST", "/column/"+value, "")
				if status != 204 {
					s.t.Errorf("%s: %d %s\n%s", value, status, text, s.log.String())
					return
				}
				mu.Lock()
				accepted = append(accepted, value)
				mu.Unlock()
			}
		})
	}
	return func() []string {
		close(done)
		wg.Wait()
		return accepted
	}
}

// Case 30 of the migrations: a column is renamed and another changes its type while both revisions write. A revision that fails on trial is taken
// back, and the one before sees what the new one wrote; one that stands it ends with the new columns alone.
func TestSoak(t *testing.T) {
	onServers(t, func(t *testing.T, server *server) {
		s := server.open(t, soaking(time.Hour))
		before := columnRevision(t, "1.0.0", linesBefore)
		after := columnRevision(t, "2.0.0", linesAfter, "title", "headline")
		s.deployFor("red", "column", before)
		s.has("POST", "/column/first", 204, "")

		stop := s.writers(3)
		s.deployFor("red", "column", after)
		if version, trial := s.serving(); version != "2.0.0" || !trial {
			t.Errorf("%s serves, on trial: %t", version, trial)
		}
		s.has("POST", "/column/second", 204, "")
		accepted := stop()
		s.has("GET", "/column/all", 200, "first ")

		for range 40 {
			s.do("GET", "/column/fail", "")
		}
		testkit.Eventually(t, "the revision before serves", func() bool { version, _ := s.serving(); return version == "1.0.0" })
		s.has("GET", "/column/all", 200, "second")
		s.has("POST", "/column/third", 204, "")
		history, err := s.Store().History("red", "column")
		if last := history[len(history)-1]; err != nil || last.By != "odachost" || !strings.Contains(last.Note, "events failed") {
			t.Errorf("%+v, %v", last, err)
		}

		stop = s.writers(3)
		again := columnRevision(t, "2.0.1", linesAfter, "title", "headline")
		s.deployFor("red", "column", again)
		s.has("POST", "/column/fourth", 204, "")
		accepted = append(accepted, stop()...)
		if left := s.left(); !strings.Contains(left, "drop column lines.title") {
			t.Errorf("left during the trial: %s", left)
		}
		if _, err := s.Migrate(t.Context(), "red", "column", true, ""); err != nil { // the operator need not wait, and nothing is lost
			t.Fatal(err)
		}
		if left := s.left(); left != "" {
			t.Errorf("left: %s", left)
		}
		_, text := s.do("GET", "/column/all", "")
		got := strings.Fields(text)
		want := append(accepted, "first", "second", "third", "fourth")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d values, want %d", len(got), len(want))
		}
	})
}

// What a revision loses is asked for before it serves, and goes only when the trial is over.
func TestSoakOfLosses(t *testing.T) {
	s := open(t, t.TempDir(), soaking(time.Hour))
	s.deployFor("red", "column", columnRevision(t, "1.0.0", linesBefore))
	s.has("POST", "/column/first", 204, "")
	without := columnRevision(t, "2.0.0", "columns:\n  id: increments\n  title: {type: string, length: 100, nullable: false}\n  n: {type: string, length: 20}\n", "title", "title")
	narrow := columnRevision(t, "2.0.1", "columns:\n  id: increments\n  title: {type: string, length: 100, nullable: false}\n")
	s.deployFor("red", "column", without)
	_, err := s.Deploy(t.Context(), narrow, host.DeployOptions{Tenant: "red", Name: "column", Approve: true})
	var approval *migrate.ApprovalError
	if !errors.As(err, &approval) {
		t.Fatal(err)
	}
	if _, err := s.Deploy(t.Context(), narrow, host.DeployOptions{Tenant: "red", Name: "column", Approve: true, ApprovePlan: approval.Hash}); err != nil {
		t.Fatal(err)
	}
	if left := s.left(); !strings.Contains(left, "lines.n") {
		t.Errorf("left: %q", left)
	}
	// The revision before finds its column while the trial lasts.
	if _, err := s.Rollback(t.Context(), "red", "column", "", "", ""); err != nil {
		t.Fatal(err)
	}
	s.has("POST", "/column/second", 204, "")
	s.has("GET", "/column/all", 200, "first second")
}

// A host that ends during a trial begins it again, and without one, what is left goes at the next start.
func TestSoakAfterRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, soaking(time.Hour))
	s.deployFor("red", "column", columnRevision(t, "1.0.0", linesBefore))
	s.has("POST", "/column/first", 204, "")
	s.deployFor("red", "column", columnRevision(t, "2.0.0", linesAfter, "title", "headline"))
	s.stop()

	s = open(t, dir, soaking(time.Hour))
	if _, trial := s.serving(); !trial {
		t.Error("no trial after a restart")
	}
	s.has("GET", "/column/all", 200, "first")
	if left := s.left(); left == "" {
		t.Error("nothing left")
	}
	s.stop()

	s = open(t, dir)
	testkit.Eventually(t, "the migration ends", func() bool { return s.left() == "" })
	s.has("GET", "/column/all", 200, "first")
	s.stop()
}

// Without a trial the old columns go when the revision before is gone.
func TestNoSoak(t *testing.T) {
	s := open(t, t.TempDir())
	s.deployFor("red", "column", columnRevision(t, "1.0.0", linesBefore))
	s.has("POST", "/column/first", 204, "")
	s.deployFor("red", "column", columnRevision(t, "2.0.0", linesAfter, "title", "headline"))
	testkit.Eventually(t, "the migration ends", func() bool { return s.left() == "" })
	s.has("GET", "/column/all", 200, "first")
}

// A revision that is not well does not serve, and one that falls ill on trial is taken back.
func TestHealth(t *testing.T) {
	s := open(t, t.TempDir(), soaking(time.Hour))
	s.deployFor("red", "column", columnRevision(t, "1.0.0", linesBefore))
	_, err := s.Deploy(t.Context(), columnRevision(t, "2.0.0", linesAfter, "title", "headline", "good", "bad"), host.DeployOptions{Tenant: "red", Name: "column", Approve: true})
	if err == nil || !strings.Contains(err.Error(), "health: ") {
		t.Errorf("a revision that is not well: %v", err)
	}
	if version, _ := s.serving(); version != "1.0.0" {
		t.Errorf("%s serves", version)
	}
	s.has("POST", "/column/first", 204, "")
	s.has("GET", "/column/all", 200, "first")
}
