package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/build"
	"github.com/odac-run/odachost/plugins"
)

func newCommand(s *streams) *cobra.Command {
	var source string
	c := &cobra.Command{
		Use:   "new FOLDER",
		Short: "Make a new plugin's folder",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			absolute, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			name := filepath.Base(absolute)
			if _, err := plugins.ParseManifest(plugins.ManifestName, []byte("name: "+name+"\nversion: 0.1.0\n")); err != nil {
				return usageError{fmt.Errorf("the plugin is named after its folder, and %q is not a name: use lower-case letters, digits and dashes, a letter first", name)}
			}
			step := s.console.Step("new %s", dir)
			if err := build.New(c.Context(), dir, name, source); err != nil {
				return show(step, err)
			}
			step.Done()
			next := "odachost dev"
			if dir != "." {
				next = "cd " + dir + " && " + next
			}
			s.console.Printf("next: %s", next)
			return nil
		},
	}
	c.Flags().StringVar(&source, "source", "", "checkout of odachost to build against (default the one that made this binary)")
	return c
}

func buildCommand(s *streams) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "build [FOLDER]",
		Short: "Build a plugin into one .odac file",
		Args:  args(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := folderArg(args)
			if !isFolder(dir) {
				return errors.New(dir + " is not a folder: name the one with the plugin's plugin.yaml")
			}
			bundle, err := bundleOf(c.Context(), s, dir)
			if err != nil {
				return err
			}
			file := output
			if file == "" {
				file = filepath.Join(dir, bundle.Manifest().Name+plugins.BundleExt)
			}
			if err := bundle.WriteFile(file); err != nil {
				return err
			}
			return s.println(file + "  " + strings.TrimSpace(string(bundle.Digest())))
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write (default FOLDER/NAME.odac)")
	return c
}
