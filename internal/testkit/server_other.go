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

// Server is a server of the test's own: nowhere but on Unix.
type Server struct{}

// PostgresServer skips the test: its server is started on Unix only.
func PostgresServer(t testing.TB) (*Server, string) { return nil, noServer(t, "PostgreSQL") }

// MariaDBServer skips the test: its server is started on Unix only.
func MariaDBServer(t testing.TB) (*Server, string) { return nil, noServer(t, "MariaDB") }

// Kill has nothing to end.
func (*Server) Kill(testing.TB) {}

// Start has nothing to start.
func (*Server) Start(testing.TB) {}

func noServer(t testing.TB, name string) string {
	t.Helper()
	t.Skipf("testkit: a private %s server is started on Unix only", name)
	return ""
}
