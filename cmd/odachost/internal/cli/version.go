package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/odac-run/odachost/abi"
)

// Version is the module's version and revision as the Go toolchain stamped them, and the ABI's.
func Version() string {
	version, revision := "devel", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" && v != "(devel)" {
			version = v
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				revision = " " + s.Value[:12]
			}
		}
	}
	return version + revision + " abi/v" + string('0'+rune(abi.Version)) + " " + runtime.GOOS + "/" + runtime.GOARCH
}
