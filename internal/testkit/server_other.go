//go:build !unix

package testkit

import "testing"

func stopServers() {}

// Postgres skips the test: its server is started on Unix only.
func Postgres(t testing.TB) string { return noServer(t, "PostgreSQL") }

// MariaDB skips the test: its server is started on Unix only.
func MariaDB(t testing.TB) string { return noServer(t, "MariaDB") }

// Redis skips the test: its server is started on Unix only.
func Redis(t testing.TB, _ ...string) string { return noServer(t, "Redis") }

func noServer(t testing.TB, name string) string {
	t.Helper()
	t.Skipf("testkit: a private %s server is started on Unix only", name)
	return ""
}
