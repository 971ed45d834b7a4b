package database

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/odac-run/odachost/abi"
)

// tmpfs mounts a file system of that size, for what only a full or read-only one shows.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount the small file system that this test fills")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "2m")
	db := newDBAt(t, filepath.Join(dir, "x.db"))
	written := int64(0)
	var err error
	for err == nil {
		q := insert("log", "what", strings.Repeat("x", 50_000))
		q.Rows = append(q.Rows, q.Rows[0])
		if _, err = query(db, q); err == nil {
			written += 2
		}
	}
	if errnoOf(err) != abi.ErrnoUnavailable || !strings.Contains(err.Error(), "full") {
		t.Errorf("full disk: %v", err)
	}
	if n := count(t, db, "log"); n != written || written == 0 {
		t.Errorf("%d rows written, %d there", written, n)
	}
	// Room again: it goes on without a restart.
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	must(t, db, insert("log", "what", "x"))
	must(t, db, &abi.Query{Verb: abi.VerbDelete, Table: "log", Where: everyRow})
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := tmpfs(t, "8m")
	path := filepath.Join(dir, "x.db")
	db, err := Open(t.Context(), Config{Filename: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if db, err := Open(t.Context(), Config{Filename: path}); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("open on a read-only file system: %v", err)
		if err == nil {
			_ = db.Close()
		}
	}
}

// A file that becomes read-only under an open database.
func TestReadOnlyFile(t *testing.T) {
	db := newDB(t)
	e := db.engine.(*sqlite)
	c, err := e.take(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	c.write = false // as a reader is opened: SQLite refuses, as it does on a file that it may not write
	if err := c.reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.release()
	if _, err := query(db, insert("log", "what", "x")); errnoOf(err) != abi.ErrnoUnavailable || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("got %v", err)
	}
	c, err = e.queueTake(t)
	if err != nil {
		t.Fatal(err)
	}
	c.write = true
	c.release()
	must(t, db, insert("log", "what", "x"))
}

// queueTake takes the writer without opening it.
func (e *sqlite) queueTake(t *testing.T) (*sqliteConn, error) {
	return e.writer.take(t.Context(), e.cfg.BusyTimeout)
}
