package testkit_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odac-run/odachost/internal/testkit"
)

func TestPostgres(t *testing.T) {
	one, two := testkit.Postgres(t), testkit.Postgres(t)
	if one == two {
		t.Fatal("two tests share a database")
	}
	psql := filepath.Join(filepath.Dir(testkit.Need(t, "postgres")), "psql")
	out, err := exec.Command(psql, "-X", "-A", "-t", one, "-c", "CREATE TABLE t (i int); SELECT count(*) FROM t").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0") {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(psql, "-X", two, "-c", "SELECT * FROM t").CombinedOutput(); err == nil {
		t.Fatalf("a table of one database is seen in another: %s", out)
	}
}

func TestMariaDB(t *testing.T) {
	dsn := testkit.MariaDB(t)
	var port int
	var name string
	if _, err := fmt.Sscanf(dsn, "root@tcp(127.0.0.1:%d)/%s", &port, &name); err != nil {
		t.Fatalf("%s: %v", dsn, err)
	}
	out, err := exec.Command(testkit.Need(t, "mariadb"), "--no-defaults", "-h127.0.0.1", fmt.Sprint("-P", port), "-uroot", name,
		"-e", "CREATE TABLE t (i int); SELECT count(*) FROM t").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "0") {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestRedis(t *testing.T) {
	var addr string
	t.Run("a server of its own", func(t *testing.T) {
		addr = testkit.Redis(t, "--maxmemory-policy", "noeviction")
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }() // nothing was written that a close could lose
		if _, err := fmt.Fprint(c, "CONFIG GET maxmemory-policy\r\n"); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(c); lines.Scan(); {
			if lines.Text() == "noeviction" {
				return
			}
		}
		t.Error("the server did not take its options")
	})
	if addr == "" {
		t.Skip("no Redis: see above")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("the server is still there after its test")
	}
}

// server starts a Redis, says where, and waits to be killed.
func server([]string) int {
	fmt.Println(testkit.Redis(noTest{}))
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 0
}

// noTest is a test in a child, which has none: it never ends.
type noTest struct{ testing.TB }

func (noTest) Helper() {}

func (noTest) Context() context.Context { return context.Background() }

func (noTest) Cleanup(func()) {}

func (noTest) Failed() bool { return false }

func (noTest) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func TestServerEndsWithItsProcess(t *testing.T) {
	testkit.Need(t, "redis-server")
	p := testkit.Spawn(t, "server")
	addr, ok := p.Line()
	if !ok {
		t.Fatal("no address")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("the child's server: %v", err)
	}
	_ = c.Close()
	p.Kill()
	testkit.Eventually(t, "the server of a killed process is gone", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
}
