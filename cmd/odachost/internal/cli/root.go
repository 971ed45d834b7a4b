package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/internal/console"
	"github.com/spf13/cobra"
)

// streams are where a command reads and prints.
type streams struct {
	in       io.Reader
	out, err io.Writer
	console  *console.Console // on err
}

// usageError ends the process with status 2.
type usageError struct{ error }

// Main runs a command line and gives the exit status. The first interrupt ends a command in order, a second one at once.
func Main(args []string, in io.Reader, out, err io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, args, in, out, err)
}

// Run is Main without signals.
func Run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	root := newRoot(&streams{in: in, out: out, err: err, console: console.New(err)})
	root.SetArgs(args)
	failed := root.ExecuteContext(ctx)
	if failed == nil {
		return 0
	}
	fmt.Fprintln(err, "odachost:", failed)
	var usage usageError
	if errors.As(failed, &usage) {
		return 2
	}
	return 1
}

func newRoot(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "odachost",
		Short:         "Runs WebAssembly plugins beside a migrated, cached database",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (odachost %s --help lists the flags)", err, c.Name())}
	})
	root.AddCommand(
		serveCommand(s), devCommand(s), newCommand(s), buildCommand(s), deployCommand(s), rollbackCommand(s), removeCommand(s),
		pluginsCommand(s), callCommand(s), migrateCommand(s), configCommand(s), versionCommand(s),
	)
	return root
}

// load reads the configuration for a command that has config.AddFlags.
func load(c *cobra.Command) (*config.Loaded, error) {
	l, err := config.Load(os.Environ(), c.Flags())
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}
