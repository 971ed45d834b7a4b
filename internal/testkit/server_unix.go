//go:build unix

package testkit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// Servers of a test process: one PostgreSQL and one MariaDB, shared by its tests, each of which gets a database of its own; Redis
// starts in a moment, so each test has its own. All listen on a free port of 127.0.0.1, keep nothing, and end with the process however
// that ends.

// server is a running server.
type server struct {
	name string
	dir  string // its data, removed at the end
	port int

	cmd  *exec.Cmd
	life io.Closer // a pipe to its guard: when it closes, the server is killed
	log  *os.File
}

// guard runs a server until its standard input ends, which it does when this process is gone too. What the server kept does not matter,
// so it is not asked to stop: SIGQUIT, which PostgreSQL's processes heed at once and others die of, then SIGKILL. $0 is its folder.
const guard = `"$@" & read -r _; kill -QUIT $!; for _ in 1 2 3 4 5; do kill -0 $! 2>/dev/null || break; sleep 0.1; done; kill -KILL $! 2>/dev/null; wait; rm -rf -- "$0"`

// as is who a server runs as: the user that its package made when root runs the tests, for most refuse to run as root.
func as(name string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true} // an interrupt at the terminal is for the test
	if os.Geteuid() != 0 {
		return attr
	}
	if u, err := user.Lookup(name); err == nil {
		uid, _ := strconv.ParseUint(u.Uid, 10, 32) // numbers on unix
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return attr
}

// newServer makes a folder that the server's user owns, and a port.
func newServer(t testing.TB, name string, attr *syscall.SysProcAttr) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "odachost-"+name+"-") //nolint:usetesting // the server may be another test's too
	if err != nil {
		t.Fatalf("testkit: folder for %s: %v", name, err)
	}
	if c := attr.Credential; c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatalf("testkit: folder for %s: %v", name, err)
		}
	}
	return &server{name: name, dir: dir, port: FreePort(t)}
}

// run runs a command of the server's to its end.
func (s *server) run(t testing.TB, attr *syscall.SysProcAttr, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.SysProcAttr, cmd.Dir = attr, s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("testkit: %s: %v\n%s", filepath.Base(command[0]), err, out)
	}
}

// start starts the server and waits until ready says so.
func (s *server) start(t testing.TB, attr *syscall.SysProcAttr, ready func() bool, command ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "server.log"))
	if err != nil {
		t.Fatalf("testkit: start %s: %v", s.name, err)
	}
	// Not t.Context(): the server may be another test's too.
	s.cmd = exec.Command("sh", append([]string{"-c", guard, s.dir}, command...)...) //nolint:noctx // see above
	s.cmd.SysProcAttr, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = attr, s.dir, log, log
	life, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatalf("testkit: start %s: %v", s.name, err)
	}
	s.life, s.log = life, log
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("testkit: start %s: %v", s.name, err)
	}
	defer func() {
		if t.Failed() {
			said, _ := os.ReadFile(log.Name()) // what there is
			t.Logf("testkit: %s said:\n%s", s.name, said)
		}
	}()
	Eventually(t, s.name+" answers", ready)
}

func (s *server) stop() {
	if s.life != nil {
		_ = s.life.Close()
		_ = s.cmd.Wait() // it was killed: that is what it says
		_ = s.log.Close()
	}
	_ = os.RemoveAll(s.dir) // a leftover in the temporary folder harms nobody
}

// succeeds is true when a command does.
func succeeds(command ...string) func() bool {
	return func() bool { return exec.Command(command[0], command[1:]...).Run() == nil } //nolint:noctx // Eventually bounds it
}

// shared is a server of the whole process, started by the first test that needs it.
type shared struct {
	mu  sync.Mutex
	now *server
}

func (s *shared) get(start func() *server) *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = start()
	}
	return s.now
}

func (s *shared) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		s.now.stop()
		s.now = nil
	}
}

var (
	postgres, mariadb shared
	databases         atomic.Int64
)

// stopServers ends the shared servers. Main calls it before it looks for leaks.
func stopServers() {
	postgres.stop()
	mariadb.stop()
}

// Postgres returns the URL of an empty database on a private PostgreSQL server, whose user may do everything. The server is
// installed if it can be, else the test is skipped ([Need]).
func Postgres(t testing.TB) string {
	t.Helper()
	bin := filepath.Dir(Need(t, "postgres"))
	tool := func(name string) string { return filepath.Join(bin, name) }
	s := postgres.get(func() *server {
		attr := as("postgres")
		s := newServer(t, "postgres", attr)
		data, port := filepath.Join(s.dir, "data"), strconv.Itoa(s.port)
		s.run(t, attr, tool("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
		s.start(t, attr, succeeds(tool("pg_isready"), "-q", "-h", "127.0.0.1", "-p", port),
			tool("postgres"), "-D", data, "-p", port, "-h", "127.0.0.1", "-k", s.dir,
			"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
		return s
	})
	url := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/", s.port)
	name := fmt.Sprint("test", databases.Add(1))
	s.run(t, nil, tool("psql"), "-q", "-X", url+"postgres", "-c", "CREATE DATABASE "+name)
	return url + name + "?sslmode=disable"
}

// MariaDB returns the data source name (user@tcp(host:port)/database) of an empty database on a private MariaDB server, whose
// user may do everything. The server is installed if it can be, else the test is skipped ([Need]).
func MariaDB(t testing.TB) string {
	t.Helper()
	daemon := Need(t, "mariadbd")
	client := Need(t, "mariadb")
	s := mariadb.get(func() *server {
		attr := as("mysql")
		s := newServer(t, "mariadb", attr)
		data := filepath.Join(s.dir, "data")
		s.run(t, attr, Need(t, "mariadb-install-db"), "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal",
			"--skip-test-db", "--skip-name-resolve")
		s.start(t, attr, succeeds(client, "--no-defaults", "-h127.0.0.1", "-P"+strconv.Itoa(s.port), "-uroot", "-e", "SELECT 1"),
			daemon, "--no-defaults", "--datadir="+data, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port),
			"--socket="+filepath.Join(s.dir, "sock"), "--pid-file="+filepath.Join(s.dir, "pid"), "--skip-name-resolve",
			"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--character-set-server=utf8mb4")
		return s
	})
	name := fmt.Sprint("test", databases.Add(1))
	s.run(t, nil, client, "--no-defaults", "-h127.0.0.1", "-P"+strconv.Itoa(s.port), "-uroot", "-e", "CREATE DATABASE "+name)
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s", s.port, name)
}

// Redis returns the address (host:port) of a Redis server of the test's own, which ends with the test. Args are further options of the
// server, such as "--maxmemory-policy", "noeviction". It is installed if it can be, else the test is skipped ([Need]).
func Redis(t testing.TB, args ...string) string {
	t.Helper()
	daemon := Need(t, "redis-server")
	attr := as("redis")
	s := newServer(t, "redis", attr)
	t.Cleanup(s.stop)
	addr := fmt.Sprintf("127.0.0.1:%d", s.port)
	command := []string{daemon, "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir, "--save", ""}
	s.start(t, attr, func() bool { return pong(t.Context(), addr) }, append(command, args...)...)
	return addr
}

func pong(ctx context.Context, addr string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }() // only asked whether it is there
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return false
	}
	answer := make([]byte, 7)
	_, err = io.ReadFull(c, answer)
	return err == nil && bytes.Equal(answer, []byte("+PONG\r\n"))
}
