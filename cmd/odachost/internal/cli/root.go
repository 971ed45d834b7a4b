package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/console"
)

// streams are where a command reads and prints.
type streams struct {
	in       io.Reader
	out, err io.Writer
	console  *console.Console // on err
	// compiler is host.Config.Compiler: this program again. Empty in tests that run a command in their own process.
	compiler []string
}

// usageError ends the process with status 2.
type usageError struct{ error }

// Unwrap gives the error itself.
func (e usageError) Unwrap() error { return e.error }

// shownError was printed where it happened.
type shownError struct{ error }

// Unwrap gives the error itself.
func (e shownError) Unwrap() error { return e.error }

// Main runs a command line and gives the exit status. The first interrupt ends a command in order, a second one at once.
func Main(args []string, in io.Reader, out, err io.Writer) int {
	if len(args) > 0 && args[0] == compileCommand {
		return host.CompileMain(args[1:], in, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, args, &streams{in: in, out: out, err: err, console: console.New(err), compiler: compiler()})
}

// compileCommand is what a host runs this program with to compile a plugin. It is nobody else's business, so that help does not list it.
const compileCommand = "compile-plugin"

// compiler is this program as it runs, whatever its file is now.
func compiler() []string {
	program := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil
		}
	}
	return []string{program, compileCommand}
}

// apart compiles plugins in a process of their own.
func (s *streams) apart(cfg *host.Config) { cfg.Compiler = s.compiler }

// Run is Main without signals, and compiles in this process.
func Run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	return run(ctx, args, &streams{in: in, out: out, err: err, console: console.New(err)})
}

func run(ctx context.Context, args []string, s *streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	failed := root.ExecuteContext(ctx)
	if failed == nil {
		return 0
	}
	var shown shownError
	switch {
	case ctx.Err() != nil && errors.Is(failed, context.Canceled):
		s.console.Printf("odachost: interrupted")
	case !errors.As(failed, &shown):
		s.console.Printf("odachost: %v", plain(failed))
	}
	var usage usageError
	if errors.As(failed, &usage) {
		return 2
	}
	return 1
}

var packagePrefix = regexp.MustCompile(`^((buffer|cache|database|engine|host|migrate|plugins|ws): )+`)

// plain is an error without the package that it begins with, which means nothing to who typed a command.
func plain(err error) error {
	text := err.Error()
	if short := packagePrefix.ReplaceAllString(text, ""); short != text {
		return errors.New(short)
	}
	return err
}

// show ends a step with its error, which is then shown.
func show(step *console.Step, err error) error {
	step.Fail(plain(err))
	return shownError{err}
}

// groups are the headings of the commands in help.
const (
	groupAuthor   = "author"
	groupOperator = "operator"
	groupOther    = "other"
)

func newRoot(s *streams) *cobra.Command {
	root := group("odachost", "Runs WebAssembly plugins beside a migrated, cached database")
	root.Long = root.Short + `.

    odachost new blog && cd blog && odachost dev`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (%s --help lists the flags)", err, c.CommandPath())}
	})
	root.AddGroup(
		&cobra.Group{ID: groupAuthor, Title: "Make a plugin:"},
		&cobra.Group{ID: groupOperator, Title: "Run plugins:"},
		&cobra.Group{ID: groupOther, Title: "The rest:"},
	)
	root.SetHelpCommandGroupID(groupOther)
	add := func(id string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	add(groupAuthor, newCommand(s), devCommand(s), buildCommand(s), checkCommand(s), schemaCommand(s))
	add(groupOperator, serveCommand(s), deployCommand(s), rollbackCommand(s), removeCommand(s), pluginsCommand(s), callCommand(s), migrateCommand(s), tenantCommand(s), databasesCommand(s))
	add(groupOther, configCommand(s), versionCommand(s))
	return root
}

// group is a command that has others below it and does nothing itself.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use:                        use,
		Short:                      short,
		SuggestionsMinimumDistance: 2,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			text := fmt.Sprintf("there is no command %q", args[0])
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				text += ": did you mean " + strings.Join(near, " or ") + "?"
			} else {
				text += ": " + c.CommandPath() + " --help lists them"
			}
			return usageError{errors.New(text)}
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
}

// args takes from least to most arguments; the command's usage line names them.
func args(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return usageError{fmt.Errorf("usage: %s", c.UseLine())}
	}
}

// folderArg is the command's argument, or the working folder.
func folderArg(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return "."
}

// addConfig gives a command the configuration's flags. Help shows those of the data folder and those named here.
func addConfig(c *cobra.Command, show ...string) {
	config.AddFlags(c.Flags(), append(show, "data")...)
	if c.Long == "" {
		c.Long = c.Short + "."
	}
	c.Long += "\n\nEvery key of odachost config --keys is a flag too."
}

// load reads the configuration for a command that has addConfig.
func load(c *cobra.Command) (*config.Loaded, error) {
	l, err := config.Load(os.Environ(), c.Flags())
	if err != nil {
		return nil, usageError{err}
	}
	return l, nil
}
