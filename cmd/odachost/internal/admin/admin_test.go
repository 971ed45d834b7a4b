package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/testkit"
	"github.com/odac-run/odachost/plugins"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// serve runs a host and its API on a data folder until the test ends.
func serve(t *testing.T, dir string) *admin.Client {
	t.Helper()
	h, err := host.New(t.Context(), host.Config{
		DataDir: dir, CacheDir: filepath.Join(os.TempDir(), "odachost-test-cache"), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	l, err := admin.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := admin.Server(h)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	client, ok := admin.Dial(t.Context(), dir)
	if !ok {
		t.Fatal("the host does not answer")
	}
	return client
}

// guest is the plugin of the commands' tests, with texts of its manifest replaced.
func guest(t *testing.T, pairs ...string) []byte {
	t.Helper()
	from := filepath.Join("..", "cli", "testdata", "guest")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, plugins.ManifestName)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		file: []byte(strings.NewReplacer(pairs...).Replace(string(text))), filepath.Join(dir, plugins.DefaultWasm): testkit.BuildGuest(t, from),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := plugins.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrips(t *testing.T) {
	c := serve(t, t.TempDir())
	ctx := t.Context()
	var refused *admin.Error
	if _, err := c.Deploy(ctx, guest(t), admin.Deploy{}, nil); !errors.As(err, &refused) || !refused.Approval || !strings.Contains(err.Error(), "db notes: insert, select") && !strings.Contains(err.Error(), "notes") {
		t.Fatalf("without approval: %v", err)
	}
	var steps []string
	first, err := c.Deploy(ctx, guest(t), admin.Deploy{By: "ann", Note: "a & b=c", Approve: true}, func(s string) { steps = append(steps, s) })
	if err != nil {
		t.Fatal(err)
	}
	if first.Version != "1.0.0" || first.By != "ann" || first.Note != "a & b=c" || first.Tenant != host.DefaultTenant {
		t.Errorf("deployed %+v", first)
	}
	if got := strings.Join(steps, " "); got != "compile migrate record switch" {
		t.Errorf("steps = %q", got)
	}
	body := strings.Repeat("body \x00", 1000)
	if got, err := c.Call(ctx, "default", "guest", "echo", []byte(body)); err != nil || string(got) != body {
		t.Errorf("call: %d bytes, %v", len(got), err)
	}
	if _, err := c.Call(ctx, "default", "guest", "a/b c", nil); err == nil {
		t.Error("a function that is not there: no error")
	}
	if _, err := c.Deploy(ctx, guest(t, "1.0.0", "2.0.0"), admin.Deploy{Approve: true}, nil); err != nil {
		t.Fatal(err)
	}
	if back, err := c.Rollback(ctx, admin.Rollback{Name: "guest", By: "bob"}); err != nil || back.Digest != first.Digest {
		t.Errorf("rollback: %+v, %v", back, err)
	}
	if _, err := c.Rollback(ctx, admin.Rollback{Name: "guest", To: "nonsense"}); err == nil {
		t.Error("a rollback to nonsense: no error")
	}
	list, err := c.Plugins(ctx)
	if err != nil || len(list) != 1 || list[0].Name != "guest" || list[0].Version != "1.0.0" || list[0].Mount != "/" || list[0].Error != "" {
		t.Errorf("plugins: %+v, %v", list, err)
	}
	history, err := c.History(ctx, "default", "guest")
	if err != nil || len(history) != 3 || history[2].Action != "rollback" || history[2].By != "bob" || history[0].Note != "a & b=c" {
		t.Errorf("history: %+v, %v", history, err)
	}
	for _, apply := range []bool{false, true} {
		plans, err := c.Migrate(ctx, "default", "guest", apply, "")
		if err != nil || len(plans) != 1 || plans[0].Database != "default" || plans[0].Steps != 0 {
			t.Errorf("migrate %v: %+v, %v", apply, plans, err)
		}
	}
	if err := c.Remove(ctx, admin.Remove{Name: "guest"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(ctx, "default", "guest", "echo", nil); err == nil || !strings.Contains(err.Error(), "not deployed") {
		t.Errorf("a call after the removal: %v", err)
	}
}

func TestDeployOfNonsense(t *testing.T) {
	c := serve(t, t.TempDir())
	for _, data := range []string{"", "hello", string(guest(t)[:1000])} {
		if _, err := c.Deploy(t.Context(), []byte(data), admin.Deploy{Approve: true}, nil); err == nil || !strings.Contains(err.Error(), "plugins: open bundle") {
			t.Errorf("%d bytes: %v", len(data), err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Deploy(canceled, guest(t), admin.Deploy{Approve: true}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestSocket(t *testing.T) {
	dir := t.TempDir()
	if _, ok := admin.Dial(t.Context(), dir); ok {
		t.Error("a host answers where none is")
	}
	// A killed host leaves its socket.
	left, err := net.Listen("unix", filepath.Join(dir, admin.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := admin.Dial(t.Context(), dir); ok {
		t.Error("a socket without a host answers")
	}
	l, err := admin.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(filepath.Join(dir, admin.SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
}

func TestLongPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Listen(dir); err == nil || !strings.Contains(err.Error(), "choose a shorter data folder") {
		t.Errorf("error = %v", err)
	}
	t.Chdir(dir)
	l, err := admin.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := admin.Dial(t.Context(), dir); !ok {
		t.Error("nobody answers on the relative path")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
