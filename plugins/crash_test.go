package plugins

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func childBundle(version int) (*Bundle, error) {
	text := fmt.Sprintf("name: blog\nversion: %d.0.0\n", version)
	m, err := ParseManifest(ManifestName, []byte(text))
	if err != nil {
		return nil, err
	}
	return fromFiles(m, map[string][]byte{entryManifest: []byte(text), entryWasm: []byte(smallWasm)}, defaultBundleLimits)
}

// child runs f with the store until it fails, which is how it says why.
func child(dir string, f func(*Store) error) int {
	s, err := OpenStore(dir, StoreOptions{KeepEntries: 4})
	for err == nil {
		err = f(s)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// deployChild deploys two versions in turn and says the Seq of each deployment when it is done.
func deployChild(args []string) int {
	n := 0
	return child(args[0], func(s *Store) error {
		n++
		b, err := childBundle(n % 2)
		if err != nil {
			return err
		}
		d, err := s.Deploy(context.Background(), DeployRequest{Tenant: "default", Name: "blog", Digest: b.Digest()})
		fmt.Println(d.Seq)
		return err
	})
}

// putChild puts one new bundle after the other and says each digest when it is done.
func putChild(args []string) int {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return 2
	}
	return child(args[0], func(s *Store) error {
		n++
		b, err := childBundle(n)
		if err != nil {
			return err
		}
		_, err = s.Put(context.Background(), b)
		fmt.Println(b.Digest())
		return err
	})
}

// TestKillDuringDeploy kills a process that deploys without a pause, at different moments: what it had reported, or the one
// deployment after it, is there, whole, and the next process can go on.
func TestKillDuringDeploy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := must[*Store](t)(OpenStore(dir, StoreOptions{}))
	for n := range 2 {
		must[Revision](t)(s.Put(t.Context(), must[*Bundle](t)(childBundle(n))))
	}
	for round := range 20 {
		p := testkit.Spawn(t, "deploy", dir)
		for range 1 + round%4 {
			if _, ok := p.Line(); !ok {
				t.Fatal("the child ended")
			}
		}
		// A different amount of work between the report and the kill: the moments differ.
		for n := range round * 3 {
			must[*Bundle](t)(childBundle(n))
		}
		var last int64
		for _, line := range p.Drain() {
			last = must[int64](t)(strconv.ParseInt(line, 10, 64))
		}
		d := must[Deployment](t)(s.Get("default", "blog"))
		if last != 0 && d.Seq != last && d.Seq != last+1 {
			t.Fatalf("round %d: deployment %d, reported %d", round, d.Seq, last)
		}
		if _, err := s.Revision(d.Digest); err != nil {
			t.Fatal(err)
		}
		before := d.Seq
		other := must[*Bundle](t)(childBundle(int(1 - must[int64](t)(strconv.ParseInt(d.Version[:1], 10, 64)))))
		d = must[Deployment](t)(s.Deploy(testkit.Context(t), DeployRequest{Tenant: "default", Name: "blog", Digest: other.Digest()}))
		if d.Seq != before+1 {
			t.Fatalf("round %d: deployment %d follows %d", round, d.Seq, before)
		}
	}
}

func TestKillDuringPut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := must[*Store](t)(OpenStore(dir, StoreOptions{}))
	for round := range 10 {
		p := testkit.Spawn(t, "put", dir, strconv.Itoa(1000*round))
		for range 1 + round {
			if _, ok := p.Line(); !ok {
				t.Fatal("the child ended")
			}
		}
		p.Kill()
	}
	files := must[[]os.DirEntry](t)(os.ReadDir(s.bundles()))
	if len(files) < 10 {
		t.Errorf("%d bundles", len(files))
	}
	for _, f := range files {
		hex, ok := strings.CutSuffix(f.Name(), BundleExt)
		if !ok {
			continue // not finished
		}
		if _, err := s.Revision(Digest(digestPrefix + hex)); err != nil {
			t.Error(err)
		}
	}
}

const hammerRounds = 18

// hammerChild deploys, rolls back, puts and collects, on the same deployment as others do.
func hammerChild(args []string) int {
	s, err := OpenStore(args[0], StoreOptions{KeepEntries: 1000})
	if err == nil {
		err = hammer(context.Background(), s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// hammer makes hammerRounds changes.
func hammer(ctx context.Context, s *Store) error {
	for n := range hammerRounds {
		b, err := childBundle(os.Getpid()*100 + n%3)
		if err != nil {
			return err
		}
		if _, err := s.Put(ctx, b); err != nil {
			return err
		}
		if n%3 == 2 {
			// One entry exactly: somebody deployed two versions before.
			if _, err := s.Rollback(ctx, RollbackRequest{Tenant: "default", Name: "blog"}); err != nil {
				return err
			}
		} else if _, err := s.Deploy(ctx, DeployRequest{Tenant: "default", Name: fmt.Sprintf("p%d", os.Getpid()), Digest: b.Digest()}); err != nil {
			return err
		} else if _, err := s.Deploy(ctx, DeployRequest{Tenant: "default", Name: "blog", Digest: b.Digest()}); err != nil {
			return err
		}
		if _, err := s.List(); err != nil {
			return err
		}
		if _, err := s.GC(ctx); err != nil {
			return err
		}
	}
	return nil
}

// TestHammer has two processes and two goroutines of a third change one store.
func TestHammer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := must[*Store](t)(OpenStore(dir, StoreOptions{KeepEntries: 1000}))
	// Enough below for rollbacks never to run out.
	for n := range 4 * hammerRounds {
		b := must[*Bundle](t)(childBundle(n % 2))
		must[Revision](t)(s.Put(t.Context(), b))
		must[Deployment](t)(s.Deploy(t.Context(), DeployRequest{Tenant: "default", Name: "blog", Digest: b.Digest()}))
	}
	children := []*testkit.Process{testkit.Spawn(t, "hammer", dir), testkit.Spawn(t, "hammer", dir)}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := hammer(testkit.Context(t), s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, p := range children {
		if code := p.Wait(); code != 0 {
			t.Errorf("a child ended with %d", code)
		}
	}
	history := must[[]Entry](t)(s.History("default", "blog"))
	for i, e := range history {
		if e.Seq != int64(i+1) {
			t.Fatalf("entry %d has Seq %d: a change was lost", i+1, e.Seq)
		}
	}
	rollbacks := 0
	for _, e := range history {
		if e.Action == ActionRollback {
			rollbacks++
		}
	}
	if want := 4 * hammerRounds / 3; rollbacks != want {
		t.Errorf("%d rollbacks in the history, want %d", rollbacks, want)
	}
	if list := must[[]Deployment](t)(s.List()); len(list) != 4 {
		t.Errorf("deployments %v", list)
	}
}

func BenchmarkDeploy(b *testing.B) {
	s := must[*Store](b)(OpenStore(filepath.Join(b.TempDir(), "store"), StoreOptions{}))
	var digests [2]Digest
	for n := range digests {
		digests[n] = must[Revision](b)(s.Put(b.Context(), must[*Bundle](b)(childBundle(n)))).Digest
	}
	for n := 0; b.Loop(); n++ {
		if _, err := s.Deploy(b.Context(), DeployRequest{Tenant: "default", Name: "blog", Digest: digests[n%2]}); err != nil {
			b.Fatal(err)
		}
	}
}
