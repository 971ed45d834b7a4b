package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/build"
	"github.com/odac-run/odachost/host"
)

func checkCommand(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FOLDER or FILE]",
		Short: "Look for mistakes in a plugin that the compiler does not see",
		Long: `Check builds a plugin, or reads an .odac file, and looks, without running it, for

- functions of math/rand and math/rand/v2 that draw from their global generator, in the plugin's Go sources and those that
  it imports: after each call the memory is put back, and the same numbers come again
- capabilities that the module needs and plugin.yaml does not ask for, and those that it asks for in vain
- exports that a plugin must have

It prints a line for each, and ends with status 1 if there is one.`,
		Args: args(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			source := folderArg(args)
			bundle, err := bundleOf(c.Context(), s, source)
			if err != nil {
				return err
			}
			amiss, err := host.Check(bundle)
			if err != nil {
				return err
			}
			if isFolder(source) {
				more, err := build.Check(c.Context(), source)
				if err != nil {
					return err
				}
				amiss = append(amiss, more...)
			}
			for _, line := range amiss {
				if err := s.println(line); err != nil {
					return err
				}
			}
			if n := len(amiss); n > 0 {
				return fmt.Errorf("%d found", n)
			}
			s.console.Printf("nothing found")
			return nil
		},
	}
}
