// Package testkit gives every test of this repository the same footing: no goroutine outlives a package's tests, files of
// expected output are compared in one way, a process that is to be killed is a real one, and a guest is built by the real
// toolchain.
//
// Every package starts its tests with it:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// What it offers: [Main] (leak check, children), [Golden] (expected output in testdata, rewritten by go test -update),
// [Spawn] (the test binary again, as a child that may be killed), [BuildGuest] (a Go plugin compiled to WebAssembly), [Need]
// (a program from a Debian package), [Postgres], [MariaDB] and [Redis] (private servers), [PostgresServer] and [MariaDBServer] (to be killed), [FreePort], [FDs] and [Eventually].
//
// Nothing here is for programs: only _test.go files and bench import it.
package testkit
