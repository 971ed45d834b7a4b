package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// packages names the Debian package of a program, where it is not the program's own name.
var packages = map[string]string{
	"chromium":            "chromium",
	"mariadb":             "mariadb-client",
	"mariadbd":            "mariadb-server",
	"mariadb-install-db":  "mariadb-server",
	"node":                "nodejs",
	"postgres":            "postgresql",
	"qemu-aarch64-static": "qemu-user-static",
	"redis-server":        "redis-server",
	"wasm-opt":            "binaryen",
}

// folders are looked in before PATH: where Debian keeps a server beside the tools of its version.
var folders = []string{"/usr/lib/postgresql/*/bin", "/usr/sbin"}

var installing sync.Mutex

// Need returns the path of a program, such as "wrk", that the test cannot do without. Where it is missing, and the test runs as
// root on a machine with apt-get, its Debian package is installed; else the test is skipped, and says what to install.
func Need(t testing.TB, program string) string {
	t.Helper()
	installing.Lock()
	defer installing.Unlock()
	if path := find(program); path != "" {
		return path
	}
	pkg := packages[program]
	if pkg == "" {
		pkg = program
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		t.Skipf("testkit: %s is not installed, and only root on Debian can have it installed: apt-get install %s", program, pkg)
	}
	t.Logf("testkit: %s is not installed: apt-get install %s", program, pkg)
	for _, args := range [][]string{{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", pkg}} {
		cmd := exec.CommandContext(t.Context(), apt, append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
		// RUNLEVEL=1 keeps a package's server from being started: tests start their own.
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("testkit: %s is not installed, and apt-get %s failed: %v\n%s", program, args[0], err, out)
		}
	}
	path := find(program)
	if path == "" {
		t.Fatalf("testkit: package %s is installed but has no %s: correct the table in need.go", pkg, program)
	}
	return path
}

func find(program string) string {
	for _, dir := range folders {
		found, err := filepath.Glob(filepath.Join(dir, program))
		if err == nil && len(found) > 0 {
			return found[len(found)-1] // the newest version sorts last
		}
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	return path
}
