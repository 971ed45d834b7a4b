package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/odac-run/odachost/cmd/odachost/internal/build"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
	"github.com/spf13/cobra"
)

// devData is where dev keeps its data, below the plugin's folder.
const devData = ".odac"

// settle is how long the folder has to be quiet before it is built: editors write a file in several steps.
const settle = 30 * time.Millisecond

func devCommand(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "dev [FOLDER]",
		Short: "Serve a plugin and swap in each change as it is saved; data and sockets stay",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			l, err := load(c)
			if err != nil {
				return err
			}
			if l.From("data") == config.FromDefault {
				l.Data = filepath.Join(dir, devData)
			}
			return dev(c.Context(), s, l, dir)
		},
	}
	config.AddFlags(c.Flags())
	return c
}

func dev(ctx context.Context, s *streams, l *config.Loaded, dir string) (err error) {
	if _, err := plugins.ReadManifest(dir); err != nil {
		return err
	}
	listener, err := listen(l)
	if err != nil {
		return err
	}
	defer listener.Close()
	h, stop, err := open(ctx, l, newLogger(s, l))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	watcher, err := watch(dir)
	if err != nil {
		return err
	}
	defer watcher.Close()
	swap(ctx, s, h, dir)
	printAddress(s, l, h, listener)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, listener) }()
	for {
		select {
		case err := <-served:
			return err
		case event := <-watcher.Events:
			if changed(ctx, watcher, event) {
				swap(ctx, s, h, dir)
			}
		case err := <-watcher.Errors:
			s.console.Printf("watch: %v", err)
		}
	}
}

// swap builds and deploys; what is wrong is printed, and the version before serves on.
func swap(ctx context.Context, s *streams, h *host.Host, dir string) {
	step := s.console.Step("build and swap")
	began := time.Now()
	err := build.Plugin(ctx, dir)
	var bundle *plugins.Bundle
	if err == nil {
		bundle, err = plugins.Pack(dir)
	}
	if err == nil {
		_, err = h.Deploy(ctx, bundle, host.DeployOptions{By: userName(), Note: "dev", Approve: true})
	}
	if err != nil {
		step.Fail(err)
		return
	}
	step.Done(time.Since(began).Round(time.Millisecond).String())
}

// watch watches the folder and those below it, but for hidden ones.
func watch(dir string) (*fsnotify.Watcher, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return watcher, addFolders(watcher, dir)
}

func addFolders(watcher *fsnotify.Watcher, dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case path != dir && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return filepath.SkipDir
		}
		return watcher.Add(path)
	})
}

// changed takes the events of one save together and says whether any matters: what the build itself writes and what
// editors leave beside a file does not.
func changed(ctx context.Context, watcher *fsnotify.Watcher, event fsnotify.Event) bool {
	matters := false
	quiet := time.NewTimer(settle)
	defer quiet.Stop()
	for {
		if !ignored(event) {
			matters = true
			if event.Has(fsnotify.Create) && isFolder(event.Name) {
				_ = addFolders(watcher, event.Name)
			}
		}
		quiet.Reset(settle)
		select {
		case event = <-watcher.Events:
		case <-quiet.C:
			return matters
		case <-ctx.Done():
			return false
		}
	}
}

func ignored(event fsnotify.Event) bool {
	name := filepath.Base(event.Name)
	return event.Op == fsnotify.Chmod || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		strings.HasSuffix(name, ".wasm") || strings.HasSuffix(name, ".odac") || strings.HasSuffix(name, ".swp") || name == "4913"
}
