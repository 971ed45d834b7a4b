package host

import (
	"io"

	"github.com/odac-run/odachost/host/internal/engine"
)

// CompileMain is the process that [Config].Compiler starts: args are those that the host added, in is its standard input, and said its standard
// error. It gives the exit status.
func CompileMain(args []string, in io.Reader, said io.Writer) (status int) {
	return engine.CompileMain(args, in, said)
}
