package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

// devData is where dev keeps its data, below the plugin's folder.
const devData = ".odac"

func devCommand(s *streams) *cobra.Command {
	var also []string
	c := &cobra.Command{
		Use:   "dev [FOLDER]",
		Short: "Serve a plugin and swap in each change as it is saved; data and sockets stay",
		Long: `Dev builds the plugin in a folder, serves it, and builds and swaps it again whenever a file is saved there. What does
not build or load is printed, and the version before serves on. The database is brought to the schema each time; it and
all else that is kept lie in FOLDER/` + devData + `.`,
		Args: args(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := folderArg(args)
			l, err := load(c)
			if err != nil {
				return err
			}
			if l.From("data") == config.FromDefault {
				l.Data = filepath.Join(dir, devData)
			}
			return dev(c.Context(), s, l, dir, also)
		},
	}
	addConfig(c, "listen", "log.level")
	c.Flags().Lookup("data").DefValue = filepath.Join("FOLDER", devData)
	c.Flags().StringArrayVar(&also, "watch", nil, "another folder whose changes count (again for more), such as a package that go.mod replaces")
	return c
}

func dev(ctx context.Context, s *streams, l *config.Loaded, dir string, also []string) (err error) {
	if _, err := plugins.ReadManifest(dir); err != nil {
		return err
	}
	listener, err := listen(l)
	if err != nil {
		return err
	}
	defer listener.Close()
	log, hush := newLogger(s, l, true)
	hush(true)
	h, stop, err := open(ctx, l, log, inHaste)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	w, err := newWatcher(append([]string{dir}, also...))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	swap(ctx, s, h, l, dir, "build and load")
	if ctx.Err() != nil {
		return nil
	}
	greet(s, l, h, listener)
	s.console.Printf("save a file, and it is swapped in; interrupt (Ctrl-C) to end")

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- serveUntil(ctx, s, h, listener) }()
	for {
		select {
		case err := <-served:
			return err
		case <-w.Changes():
			if changed := w.Changed(); len(changed) > 0 {
				swap(ctx, s, h, l, dir, describe(changed))
			}
		}
	}
}

// inHaste compiles with every processor: a plugin that is being written comes from who runs the host, so a fault of the
// compiler may end both.
func inHaste(cfg *host.Config) { cfg.CompileWorkers = runtime.GOMAXPROCS(0) }

// describe names the step after what was saved.
func describe(changed []string) string {
	if len(changed) == 1 {
		return "swap in " + changed[0]
	}
	return fmt.Sprintf("swap in %s and %d more", changed[0], len(changed)-1)
}

// swap builds and deploys; what is wrong is printed, and the version before serves on.
func swap(ctx context.Context, s *streams, h *host.Host, l *config.Loaded, dir, what string) {
	step := s.console.Step("%s", what)
	bundle, err := buildBundle(ctx, dir)
	if err != nil {
		step.Fail(interrupted(ctx, err))
		return
	}
	unchanged := false
	_, err = h.Deploy(ctx, bundle, host.DeployOptions{By: userName(), Note: "dev", Approve: true, Progress: func(step string) { unchanged = unchanged || step == "unchanged" }})
	switch {
	case err != nil:
		step.Fail(interrupted(ctx, err))
		if plan := admin.ErrorOf(err).Plan; plan != "" {
			s.console.Printf("to allow it: odachost deploy %s --data %s --approve-plan %s", dir, l.Data, plan)
		}
	case unchanged:
		step.Done("the plugin is the same")
	default:
		step.Done()
	}
}

// interrupted is what became of a step that ctx ended.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return plain(err)
}
