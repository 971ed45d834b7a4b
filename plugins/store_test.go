package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shop is a store with a clock that moves by a minute at each look.
type shop struct {
	*Store
	t     testing.TB
	clock time.Time
}

func newShop(t testing.TB, options StoreOptions) *shop {
	s := &shop{t: t, clock: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	options.Now = func() time.Time {
		s.clock = s.clock.Add(time.Minute)
		return s.clock
	}
	s.Store = must[*Store](t)(OpenStore(filepath.Join(t.TempDir(), "store"), options))
	return s
}

// put adds version n of a plugin without capabilities.
func (s *shop) put(n int) Digest {
	s.t.Helper()
	return s.putYAML(fmt.Sprintf("name: blog\nversion: %d.0.0\n", n))
}

func (s *shop) putYAML(yaml string) Digest {
	s.t.Helper()
	return must[Revision](s.t)(s.Put(s.t.Context(), minimal(s.t, yaml))).Digest
}

func (s *shop) deploy(d Digest) error {
	_, err := s.Deploy(s.t.Context(), DeployRequest{Tenant: "default", Name: "blog", Digest: d, By: "ann", Note: "test"})
	return err
}

func (s *shop) version() string {
	s.t.Helper()
	d, err := s.Get("default", "blog")
	if errors.Is(err, ErrNotFound) {
		return "none"
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSuffix(d.Version, ".0.0")
}

// TestWalk is a play with deploy (a number), undo (<), straight back (<number), remove (x): after each step the version that runs.
func TestWalk(t *testing.T) {
	for _, test := range []struct{ steps, want string }{
		{"1 2 3 < < <", "1 2 3 2 1 error"},
		{"1 2 < 3 < <", "1 2 1 3 1 error"},
		{"1 2 3 <1 <", "1 2 3 1 error"},
		{"1 2 3 <1 <3 < <", "1 2 3 1 3 2 1"},
		{"1 2 3 < 3 < <", "1 2 3 2 3 2 1"},
		{"1 2 1 < <", "1 2 1 2 1"},
		{"1 2 2 <", "1 2 2 1"},
		{"1 <", "1 error"},
		{"1 2 x < <", "1 2 none 2 1"},
		{"1 x x", "1 none error"},
		{"1 2 x 3 <", "1 2 none 3 2"},
		{"1 2 x <1", "1 2 none 1"},
		{"1 <2 <1", "1 error 1"},
		{"< x", "error error"},
		{"1 2 < < 2 3 < < 4 <", "1 2 1 error 2 3 2 1 4 1"},
	} {
		s := newShop(t, StoreOptions{})
		digests := map[string]Digest{}
		for n := 1; n <= 4; n++ {
			digests[strconv.Itoa(n)] = s.put(n)
		}
		var got []string
		for step := range strings.FieldsSeq(test.steps) {
			var err error
			to, back := strings.CutPrefix(step, "<")
			switch {
			case back:
				_, err = s.Rollback(t.Context(), RollbackRequest{Tenant: "default", Name: "blog", To: digests[to], By: "bob"})
			case step == "x":
				err = s.Remove(t.Context(), "default", "blog", "bob", "")
			default:
				err = s.deploy(digests[step])
			}
			switch {
			case err != nil && !errors.Is(err, ErrNotFound):
				t.Fatalf("%s: at %s: %v", test.steps, step, err)
			case err != nil:
				got = append(got, "error")
			default:
				got = append(got, s.version())
			}
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%s: %s, want %s", test.steps, text, test.want)
		}
	}
}

func TestHistory(t *testing.T) {
	s := newShop(t, StoreOptions{})
	one, two := s.put(1), s.put(2)
	s.clock = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, d := range []Digest{one, two} {
		if err := s.deploy(d); err != nil {
			t.Fatal(err)
		}
	}
	got := must[Deployment](t)(s.Rollback(t.Context(), RollbackRequest{Tenant: "default", Name: "blog", By: "bob", Note: "broken"}))
	at := func(minute int) time.Time { return time.Date(2030, 1, 1, 0, minute, 0, 0, time.UTC) }
	if diff := cmp.Diff(Deployment{Tenant: "default", Name: "blog", Digest: one, Version: "1.0.0", Seq: 3, At: at(3), By: "bob", Note: "broken"}, got); diff != "" {
		t.Error(diff)
	}
	want := []Entry{
		{Seq: 1, Action: ActionDeploy, Digest: one, Version: "1.0.0", At: at(1), By: "ann", Note: "test"},
		{Seq: 2, Action: ActionDeploy, Digest: two, Version: "2.0.0", Previous: 1, At: at(2), By: "ann", Note: "test"},
		{Seq: 3, Action: ActionRollback, Digest: one, Version: "1.0.0", Target: 1, At: at(3), By: "bob", Note: "broken"},
	}
	if diff := cmp.Diff(want, must[[]Entry](t)(s.History("default", "blog"))); diff != "" {
		t.Error(diff)
	}
}

func TestApproval(t *testing.T) {
	const yaml = "name: blog\nversion: %d.0.0\ncapabilities: {db: {tables: {posts: [%s]}}}\n"
	s := newShop(t, StoreOptions{})
	narrow, wide := s.putYAML(fmt.Sprintf(yaml, 1, "select")), s.putYAML(fmt.Sprintf(yaml, 2, "select, insert"))
	other := s.putYAML(fmt.Sprintf(yaml, 3, "select, insert"))
	approve := func(d Digest) {
		t.Helper()
		must[Deployment](t)(s.Deploy(t.Context(), DeployRequest{Tenant: "default", Name: "blog", Digest: d, Approve: true}))
	}
	refused := func(d Digest, changes ...string) {
		t.Helper()
		before := s.version()
		err := s.deploy(d)
		var approval *ApprovalError
		if !errors.As(err, &approval) || !errors.Is(err, ErrApproval) {
			t.Fatalf("error %v, want an *ApprovalError", err)
		}
		var got []string
		for _, c := range approval.Changes {
			got = append(got, c.String())
		}
		if !slices.Equal(got, changes) || s.version() != before {
			t.Errorf("changes %q, want %q; runs %s, then %s", got, changes, before, s.version())
		}
	}
	ok := func(d Digest) {
		t.Helper()
		if err := s.deploy(d); err != nil {
			t.Error(err)
		}
	}
	refused(narrow, "+ db posts: select")
	approve(narrow)
	refused(wide, "+ db posts: insert")
	approve(wide)
	if h := must[[]Entry](t)(s.History("default", "blog")); !slices.Equal(h[1].Approved, []string{"+ db posts: insert"}) {
		t.Errorf("approved %q", h[1].Approved)
	}
	ok(other)                                                                        // the same rights as what runs
	ok(narrow)                                                                       // fewer
	ok(wide)                                                                         // it ran before
	ok(narrow)                                                                       // again
	refused(s.putYAML(fmt.Sprintf(yaml, 4, "select, insert")), "+ db posts: insert") // new bytes
	if err := s.Remove(t.Context(), "default", "blog", "", ""); err != nil {
		t.Fatal(err)
	}
	refused(narrow, "+ db posts: select") // a removal takes the approvals with it
	must[Deployment](t)(s.Rollback(t.Context(), RollbackRequest{Tenant: "default", Name: "blog"}))
}

func TestDamage(t *testing.T) {
	s := newShop(t, StoreOptions{})
	one, two := s.put(1), s.put(2)
	for _, d := range []Digest{one, two} {
		if err := s.deploy(d); err != nil {
			t.Fatal(err)
		}
	}
	must[Deployment](t)(s.Deploy(t.Context(), DeployRequest{Tenant: "acme", Name: "shop", Digest: one}))

	t.Run("bundle", func(t *testing.T) {
		file := s.bundleFile(one)
		good := must[[]byte](t)(os.ReadFile(file))
		for name, data := range map[string][]byte{"changed": append(slices.Clone(good[:len(good)-1]), 'x'), "cut": good[:50], "empty": {}} {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := s.Revision(one)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), file) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := s.Rollback(t.Context(), RollbackRequest{Tenant: "default", Name: "blog"}); !errors.Is(err, ErrDamaged) || s.version() != "2" {
				t.Errorf("%s: rolled back to it: %v, version %s", name, err, s.version())
			}
			if err := s.deploy(one); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: deployed: %v", name, err)
			}
			if _, err := s.Revision(two); err != nil {
				t.Errorf("%s: the other one: %v", name, err)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Revision(one); !errors.Is(err, ErrNotFound) {
			t.Errorf("missing: %v", err)
		}
		s.put(1)
		if _, err := s.Revision(one); err != nil {
			t.Errorf("put again: %v", err)
		}
	})
	t.Run("record", func(t *testing.T) {
		file := s.recordFile("default", "blog")
		good := string(must[[]byte](t)(os.ReadFile(file)))
		for name, data := range map[string]string{
			"empty": "", "cut": good[:40], "not JSON": "hello", "null": "null", "no history": `{"format":1,"tenant":"default","name":"blog"}`,
			"another name": strings.Replace(good, `"blog"`, `"other"`, 1), "a newer format": strings.Replace(good, `"format": 1`, `"format": 2`, 1),
			"a bad digest": strings.Replace(good, "sha256:", "sha256:/../", 1), "order": strings.Replace(good, `"seq": 2`, `"seq": 1`, 1),
			"a loop": strings.Replace(good, `"previous": 1`, `"previous": 2`, 1), "format zero": strings.Replace(good, `"format": 1`, `"format": 0`, 1),
		} {
			if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get("default", "blog"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), file) {
				t.Errorf("%s: %v", name, err)
			}
			list, err := s.List()
			if !errors.Is(err, ErrDamaged) || len(list) != 1 || list[0].Name != "shop" {
				t.Errorf("%s: list %v, %v", name, list, err)
			}
			if _, err := s.GC(t.Context()); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: gc: %v", name, err)
			}
			if err := s.deploy(two); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: deployed over it: %v", name, err)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := s.deploy(two); err != nil || s.version() != "2" {
			t.Errorf("deleted and deployed again: %v", err)
		}
	})
}

func TestGC(t *testing.T) {
	s := newShop(t, StoreOptions{KeepEntries: 3, GraceTime: 24 * time.Hour, KeepRemoved: 100 * 24 * time.Hour})
	var digests []Digest
	for n := range 6 {
		digests = append(digests, s.put(n))
		if err := s.deploy(digests[n]); err != nil {
			t.Fatal(err)
		}
	}
	gone := must[Revision](t)(s.Put(t.Context(), minimal(t, "name: gone\nversion: 1.0.0\n"))).Digest
	must[Deployment](t)(s.Deploy(t.Context(), DeployRequest{Tenant: "default", Name: "gone", Digest: gone}))
	if err := s.Remove(t.Context(), "default", "gone", "", ""); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{s.bundles(), s.deployments()} {
		if err := os.WriteFile(filepath.Join(dir, tempPrefix+"1"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, tempPrefix+"1"), s.clock, s.clock); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range append(slices.Clone(digests), gone) {
		if err := os.Chtimes(s.bundleFile(d), s.clock, s.clock); err != nil {
			t.Fatal(err)
		}
	}
	if report, err := s.GC(t.Context()); err != nil || len(report.Bundles) != 0 || report.FreedBytes != 0 {
		t.Errorf("within the grace: %+v, %v", report, err)
	}
	s.clock = s.clock.Add(48 * time.Hour)
	fresh := s.put(9)
	if err := os.Chtimes(s.bundleFile(fresh), s.clock, s.clock); err != nil {
		t.Fatal(err)
	}
	report := must[GCReport](t)(s.GC(t.Context()))
	want := slices.Clone(digests[:3])
	slices.Sort(want)
	if !slices.Equal(report.Bundles, want) || report.FreedBytes == 0 || len(report.Deployments) != 0 {
		t.Errorf("report %+v, want %v", report, want)
	}
	for _, d := range append(slices.Clone(digests[3:]), fresh, gone) {
		if _, err := s.Revision(d); err != nil {
			t.Errorf("needed: %v", err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(s.Dir(), "*", tempPrefix+"*")); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	s.clock = s.clock.Add(200 * 24 * time.Hour)
	if report := must[GCReport](t)(s.GC(t.Context())); !slices.Equal(report.Deployments, []string{"default@gone"}) || len(report.Bundles) != 2 {
		t.Errorf("report %+v", report)
	}
	if _, err := s.History("default", "gone"); !errors.Is(err, ErrNotFound) {
		t.Errorf("history: %v", err)
	}
}

// TestUndoOutlivesTheHistory goes back and forth for longer than the history keeps, then back to the beginning.
func TestUndoOutlivesTheHistory(t *testing.T) {
	s := newShop(t, StoreOptions{KeepEntries: 3})
	digests := []Digest{s.put(1), s.put(2), s.put(3)}
	for _, d := range digests[:2] {
		if err := s.deploy(d); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if err := s.deploy(digests[2]); err != nil {
			t.Fatal(err)
		}
		must[Deployment](t)(s.Rollback(t.Context(), RollbackRequest{Tenant: "default", Name: "blog"}))
	}
	must[Deployment](t)(s.Rollback(t.Context(), RollbackRequest{Tenant: "default", Name: "blog"}))
	if h := must[[]Entry](t)(s.History("default", "blog")); s.version() != "1" || len(h) > 6 {
		t.Errorf("version %s, %d entries", s.version(), len(h))
	}
}

func TestStoreRefuses(t *testing.T) {
	s := newShop(t, StoreOptions{})
	one := s.put(1)
	for _, r := range []DeployRequest{
		{Tenant: "../x", Name: "blog", Digest: one},
		{Tenant: "default", Name: "a/b", Digest: one},
		{Tenant: "", Name: "blog", Digest: one},
		{Tenant: "default", Name: "blog", Digest: "sha256:../../../etc/passwd"},
		{Tenant: "default", Name: "blog", Digest: DigestOf(nil)},
		{Tenant: "default", Name: "blog", Digest: one, Note: strings.Repeat("x", maxNoteBytes+1)},
	} {
		if _, err := s.Deploy(t.Context(), r); err == nil || !strings.HasPrefix(err.Error(), "plugins: ") || strings.Count(err.Error(), "plugins: ") > 1 {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("list %v, %v", list, err)
	}
}

func TestStoreIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access lists, not modes, guard the folder on Windows")
	}
	s := newShop(t, StoreOptions{})
	one := s.put(1)
	if err := s.deploy(one); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		s.Dir(): 0o700, s.bundles(): 0o700, s.deployments(): 0o700, s.bundleFile(one): 0o600, s.recordFile("default", "blog"): 0o600,
	} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if err := os.Chmod(s.Dir(), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(s.Dir(), StoreOptions{}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("opened a folder that others write to: %v", err)
	}
}

func TestLockGivesUp(t *testing.T) {
	s := newShop(t, StoreOptions{})
	one := s.put(1)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.locked(t.Context(), func() error {
		cancel()
		_, err := s.Deploy(ctx, DeployRequest{Tenant: "default", Name: "blog", Digest: one})
		return err
	})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "plugins: deploy: another process keeps ") {
		t.Errorf("error %v", err)
	}
	if err := s.deploy(one); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"format":1,"tenant":"default","name":"blog","history":[{"seq":1,"action":"deploy","digest":"` + string(DigestOf(nil)) + `","at":"2030-01-01T00:00:00Z"},{"seq":2,"action":"remove","previous":1,"at":"2030-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data, "default", "blog")
		if err != nil {
			return
		}
		r.deployment()
		target, err := r.target("")
		if err == nil && target.Seq >= r.last().Seq {
			t.Fatalf("rolls back to %+v", target)
		}
		n := r.last().Seq
		if r.add(Entry{Action: ActionRemove, Previous: n}, 2); n < 1<<62 && r.last().Seq != n+1 {
			t.Fatalf("entry %d follows %d", r.last().Seq, n)
		}
	})
}
