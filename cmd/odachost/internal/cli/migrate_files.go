package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/migrate"
	"github.com/odac-run/odachost/migrate/diagram"
)

// schemaFolder is the command's argument, or schema.
func schemaFolder(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return "schema"
}

func migrateLint(s *streams) *cobra.Command {
	var against string
	var strict bool
	c := &cobra.Command{
		Use: "lint [FOLDER]", Short: "Find problems in schema files, without a database", Args: args(0, 1),
		Long: `Find problems in schema files, without a database: foreign keys without an index, keys that point nowhere, names that SQL
reserves, what one of the databases would refuse. With --against also what the step from an older folder would take away or narrow.`,
		RunE: func(_ *cobra.Command, args []string) error {
			schema, err := loadFolder(schemaFolder(args))
			if err != nil {
				return err
			}
			findings := lintAll(schema, nil)
			if against != "" {
				old, err := loadFolder(against)
				if err != nil {
					return err
				}
				findings = append(findings, lintAll(schema, old)...)
			}
			failed := 0
			for _, f := range findings {
				if f.Error || strict {
					failed++
				}
				if err := s.println(f.String()); err != nil {
					return err
				}
			}
			if failed > 0 {
				return fmt.Errorf("%s", count(failed, "problem"))
			}
			return nil
		},
	}
	c.Flags().StringVar(&against, "against", "", "an older folder of schema files: also show what the step from there may cost")
	c.Flags().BoolVar(&strict, "strict", false, "fail on advice too")
	return c
}

// lintAll looks at the files of every connection, by themselves or against an older schema.
func lintAll(schema, old *migrate.Schema) []migrate.Finding {
	var out []migrate.Finding
	names := schema.Connections()
	if old != nil {
		names = old.Connections()
	}
	for _, name := range names {
		if old != nil {
			out = append(out, migrate.LintAgainst(old.Connection(name), schema.Connection(name))...)
		} else {
			out = append(out, migrate.Lint(schema.Connection(name))...)
		}
	}
	return out
}

func migrateDiagram(s *streams) *cobra.Command {
	var against, connection, to string
	c := &cobra.Command{
		Use: "diagram [FOLDER]", Short: "Draw schema files as a picture (SVG)", Args: args(0, 1),
		Long: `Draw schema files as a picture: tables, their columns and the keys between them. With --against what changes since an
older folder is marked, by colour and by shape.`,
		RunE: func(_ *cobra.Command, args []string) error {
			schema, err := loadFolder(schemaFolder(args))
			if err != nil {
				return err
			}
			if len(schema.Connection(connection).Tables) == 0 {
				return errors.New("there are no schema files to draw")
			}
			if against == "" {
				return writeTo(s, to, diagram.Schema(schema.Connection(connection)))
			}
			old, err := loadFolder(against)
			if err != nil {
				return err
			}
			return writeTo(s, to, diagram.Change(old.Connection(connection), schema.Connection(connection)))
		},
	}
	c.Flags().StringVar(&against, "against", "", "an older folder of schema files: mark what changes")
	c.Flags().StringVar(&connection, "connection", migrate.DefaultConnection, "which connection's files")
	c.Flags().StringVar(&to, "to", "-", "file for the picture, - for standard output")
	return c
}
