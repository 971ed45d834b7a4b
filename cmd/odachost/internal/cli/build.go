package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/odac-run/odachost/cmd/odachost/internal/build"
	"github.com/odac-run/odachost/plugins"
	"github.com/spf13/cobra"
)

func newCommand(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "new FOLDER",
		Short: "Make a new plugin's folder",
		Args:  exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			absolute, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			name := filepath.Base(absolute)
			if _, err := plugins.ParseManifest("plugin.yaml", []byte("name: "+name+"\nversion: 0.1.0\n")); err != nil {
				return usageError{errors.New("the folder's name is the plugin's: " + name + " has to start with a letter and consist of lower-case letters, digits and dashes")}
			}
			step := s.console.Step("new %s", dir)
			if err := build.New(c.Context(), dir, name); err != nil {
				step.Fail(errors.New("failed"))
				return err
			}
			step.Done()
			s.console.Printf("next: cd %s && odachost dev", dir)
			return nil
		},
	}
}

func buildCommand(s *streams) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "build [FOLDER]",
		Short: "Build a plugin into one .odac file",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			bundle, err := bundleOf(c.Context(), s, dir)
			if err != nil {
				return err
			}
			file := output
			if file == "" {
				file = filepath.Join(dir, bundle.Manifest().Name+".odac")
			}
			if err := os.WriteFile(file, bundle.Bytes(), 0o644); err != nil {
				return err
			}
			s.console.Printf("%s  %s", file, bundle.Digest())
			return nil
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "file to write (default FOLDER/NAME.odac)")
	return c
}
