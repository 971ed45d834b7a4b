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
	"slices"
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

	pid   string             // file with its process id
	again func(t testing.TB) // starts it, also again
	runs  []serverRun
}

type serverRun struct {
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
	log, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatalf("testkit: start %s: %v", s.name, err)
	}
	// Not t.Context(): the server may be another test's too.
	cmd := exec.Command("sh", append([]string{"-c", guard, s.dir}, command...)...) //nolint:noctx // see above
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = attr, s.dir, log, log
	life, err := cmd.StdinPipe()
	if err != nil {
		t.Fatalf("testkit: start %s: %v", s.name, err)
	}
	s.runs = append(s.runs, serverRun{cmd, life, log})
	if err := cmd.Start(); err != nil {
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
	for _, r := range slices.Backward(s.runs) {
		_ = r.life.Close()
		_ = r.cmd.Wait() // it was killed: that is what it says
		_ = r.log.Close()
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
	s := postgres.get(func() *server { return newPostgres(t) })
	name := fmt.Sprint("test", databases.Add(1))
	s.run(t, nil, filepath.Join(filepath.Dir(Need(t, "postgres")), "psql"), "-q", "-X", fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", s.port), "-c", "CREATE DATABASE "+name)
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, name)
}

func newPostgres(t testing.TB) *server {
	t.Helper()
	bin := filepath.Dir(Need(t, "postgres"))
	attr := as("postgres")
	s := newServer(t, "postgres", attr)
	data, port := filepath.Join(s.dir, "data"), strconv.Itoa(s.port)
	s.run(t, attr, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	// Only the user that may do everything needs no password.
	hba := "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		t.Fatalf("testkit: configure postgres: %v", err)
	}
	s.pid, s.again = filepath.Join(data, "postmaster.pid"), func(t testing.TB) {
		t.Helper()
		s.start(t, attr, succeeds(filepath.Join(bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port),
			filepath.Join(bin, "postgres"), "-D", data, "-p", port, "-h", "127.0.0.1", "-k", s.dir,
			"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
	}
	s.again(t)
	return s
}

// MariaDB returns the data source name (user@tcp(host:port)/database) of an empty database on a private MariaDB server, whose
// user may do everything. The server is installed if it can be, else the test is skipped ([Need]).
func MariaDB(t testing.TB) string {
	t.Helper()
	s := mariadb.get(func() *server { return newMariaDB(t, "0") })
	name := fmt.Sprint("test", databases.Add(1))
	s.run(t, nil, Need(t, "mariadb"), "--no-defaults", "-h127.0.0.1", "-P"+strconv.Itoa(s.port), "-uroot", "-e", "CREATE DATABASE "+name)
	return fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s", s.port, name)
}

func newMariaDB(t testing.TB, flush string) *server {
	t.Helper()
	daemon, client := Need(t, "mariadbd"), Need(t, "mariadb")
	attr := as("mysql")
	s := newServer(t, "mariadb", attr)
	data := filepath.Join(s.dir, "data")
	// A server removes the temporary files of others from the folder that they share.
	s.run(t, attr, Need(t, "mariadb-install-db"), "--no-defaults", "--datadir="+data, "--tmpdir="+s.dir, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve")
	s.pid, s.again = filepath.Join(s.dir, "pid"), func(t testing.TB) {
		t.Helper()
		s.start(t, attr, succeeds(client, "--no-defaults", "-h127.0.0.1", "-P"+strconv.Itoa(s.port), "-uroot", "-e", "SELECT 1"),
			daemon, "--no-defaults", "--datadir="+data, "--tmpdir="+s.dir, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port),
			"--socket="+filepath.Join(s.dir, "sock"), "--pid-file="+s.pid, "--skip-name-resolve",
			"--innodb-flush-log-at-trx-commit="+flush, "--innodb-buffer-pool-size=64M", "--character-set-server=utf8mb4")
	}
	s.again(t)
	return s
}

// Server is a server of the test's own, which can be killed and started again on the same port with what it kept.
type Server struct{ *server }

// PostgresServer starts a server for the test alone, and returns it with the URL of its database postgres.
func PostgresServer(t testing.TB) (*Server, string) {
	t.Helper()
	s := newPostgres(t)
	t.Cleanup(s.stop)
	return &Server{s}, fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// MariaDBServer starts a server for the test alone, and returns it with the data source name of an empty database.
func MariaDBServer(t testing.TB) (*Server, string) {
	t.Helper()
	s := newMariaDB(t, "1") // what is committed has to be there when it comes back
	t.Cleanup(s.stop)
	s.run(t, nil, Need(t, "mariadb"), "--no-defaults", "-h127.0.0.1", "-P"+strconv.Itoa(s.port), "-uroot", "-e", "CREATE DATABASE test")
	return &Server{s}, fmt.Sprintf("root@tcp(127.0.0.1:%d)/test", s.port)
}

// Kill ends the server at once, without a shutdown, and waits until it is gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(s.pid)
	if err != nil {
		t.Fatalf("testkit: kill %s: %v", s.name, err)
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(first)))
	if err != nil {
		t.Fatalf("testkit: kill %s: %v", s.name, err)
	}
	signal := syscall.SIGKILL
	if s.name == "postgres" {
		signal = syscall.SIGQUIT // the same for its clients, and takes its many processes along
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("testkit: kill %s: %v", s.name, err)
	}
	Eventually(t, s.name+" is gone", func() bool {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			_ = c.Close() // only asked whether somebody answers
		}
		_, left := os.Stat(s.pid)
		return err != nil && (signal == syscall.SIGKILL || left != nil)
	})
}

// Start starts it again.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.again(t)
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
