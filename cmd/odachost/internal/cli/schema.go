package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/jsschema"
)

func schemaCommand(s *streams) *cobra.Command {
	c := group("schema", "Make schema files")
	c.AddCommand(schemaImport(s))
	return c
}

func schemaImport(s *streams) *cobra.Command {
	var to string
	var force bool
	c := &cobra.Command{
		Use:   "import FOLDER",
		Short: "Turn the JavaScript schema files of odac.js into YAML",
		Long: `Turn the JavaScript schema files of odac.js into YAML.

The files of FOLDER, and those of its folders, which are connections, are run by an interpreter without files, network and
require. What has no counterpart is refused with its file and line, and then nothing is written.`,
		Args: args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
				return usageError{fmt.Errorf("%s is no folder", args[0])}
			}
			result, err := jsschema.Import(os.DirFS(args[0]), jsschema.Options{})
			if err != nil {
				return err
			}
			if len(result.Files) == 0 {
				return fmt.Errorf("%s has no .js files", args[0])
			}
			if err := writeFiles(to, result.Files, force); err != nil {
				return err
			}
			for _, note := range result.Notes {
				s.console.Printf("note: %s", note)
			}
			return s.println(fmt.Sprintf("%s in %s", count(len(result.Files), "schema file"), to))
		},
	}
	c.Flags().StringVar(&to, "to", "schema", "folder for the YAML files")
	c.Flags().BoolVar(&force, "force", false, "replace files that are there")
	return c
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
