package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/migrate"
)

func migrateCommand(s *streams) *cobra.Command {
	c := group("migrate", "See and apply what a schema wants of its database")
	c.Long = c.Short + `.

A command takes a deployed plugin, or a folder of schema files and a database, for which no host and no plugin is needed:

    odachost migrate plan blog
    odachost migrate plan --schema schema --database sqlite:data/app.db`
	c.AddCommand(
		migratePlan(s, "status", "Show the plan and what was applied; write nothing"),
		migratePlan(s, "plan", "Show the plan; write nothing"),
		migrateApply(s), migrateRollback(s), migrateTrash(s), migrateRestore(s), migratePurge(s), migrateSnapshot(s), migrateLint(s), migrateDiagram(s),
	)
	return c
}

// migratePlan is status or plan.
func migratePlan(s *streams, name, short string) *cobra.Command {
	var t target
	var asJSON bool
	var svg string
	c := &cobra.Command{
		Use: name + " [PLUGIN]", Short: short, Args: t.args(),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := t.plan(c, s, args)
			if err != nil {
				return err
			}
			if svg != "" {
				return writePicture(s, svg, list)
			}
			if asJSON {
				return printPlans(s, list)
			}
			return showPlans(s, args, list)
		},
	}
	t.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	c.Flags().StringVar(&svg, "svg", "", "draw what changes into this file, - for standard output")
	return c
}

func migrateApply(s *streams) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "apply [PLUGIN]", Short: "Apply the plan", Args: t.args(),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := t.apply(c, s, args)
			if err != nil {
				return err
			}
			return showPlans(s, args, list)
		},
	}
	t.flags(c)
	c.Flags().StringVar(&t.approve, "approve-plan", "", "hash of a plan with destructive steps, or files, to allow")
	return c
}

func migrateRollback(s *streams) *cobra.Command {
	var t target
	c := &cobra.Command{
		Use: "rollback [PLUGIN]", Short: "Take the last batch of migration files back", Args: t.args(),
		Long: `Take the last batch of migration files back, by their .down.sql, the last file first.

Tables stay as they are. The files are pending again: the next apply runs them, and so does the next deployment of a plugin that
has them.`,
		RunE: func(c *cobra.Command, args []string) error {
			list, err := t.rollback(c, s, args)
			if err != nil {
				return err
			}
			none := true
			for _, r := range list {
				for _, name := range r.Files {
					none = false
					if err := s.println(fmt.Sprintf("%s: rolled back %s", r.Database, name)); err != nil {
						return err
					}
				}
			}
			if none {
				return s.println("no migration file is applied")
			}
			return nil
		},
	}
	t.flags(c)
	return c
}

func migrateSnapshot(s *streams) *cobra.Command {
	var t target
	var to string
	var force bool
	c := &cobra.Command{
		Use: "snapshot", Short: "Write the schema files of a database", Args: args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return t.open(c.Context(), false, func(ctx context.Context, db *direct) error {
				files, err := migrate.Snapshot(ctx, db.conn, migrate.SnapshotOptions{Owner: t.owner})
				if err != nil {
					return err
				}
				if err := writeFiles(to, files.Files, force); err != nil {
					return err
				}
				for _, note := range files.Notes {
					s.console.Printf("note: %s", note)
				}
				return s.println(fmt.Sprintf("%s in %s", count(len(files.Files), "schema file"), to))
			})
		},
	}
	c.Flags().StringVar(&t.database, "database", "", "URL of the database, such as sqlite:data/app.db")
	c.Flags().StringVar(&t.owner, "owner", "", "only the tables that were applied for this owner, such as a plugin")
	c.Flags().StringVar(&to, "to", "schema", "folder for the files")
	c.Flags().BoolVar(&force, "force", false, "replace files that are there")
	return c
}

// showPlans prints plans for people.
func showPlans(s *streams, args []string, list []admin.Migration) error {
	if len(list) == 0 {
		return s.println(args[0] + " has no schema")
	}
	for _, m := range list {
		what := m.Text
		switch {
		case m.Steps == 0:
			what = "nothing to do\n"
			if m.Text != what { // and notes
				what = m.Text
			}
		case m.Applied:
			what = "applied\n" + what
		}
		if _, err := fmt.Fprintf(s.out, "%s: %s", m.Database, what); err != nil {
			return err
		}
		for _, f := range m.Files {
			if err := s.println(fmt.Sprintf("%s: %s", m.Database, f)); err != nil {
				return err
			}
		}
	}
	return nil
}

func printPlans(s *streams, list []admin.Migration) error {
	plans := map[string]json.RawMessage{}
	for _, m := range list {
		plans[m.Database] = m.JSON
	}
	data, err := json.MarshalIndent(plans, "", "  ")
	if err != nil {
		return err
	}
	return s.println(string(data))
}

// writePicture writes the picture of the one plan that there is.
func writePicture(s *streams, file string, list []admin.Migration) error {
	if len(list) != 1 {
		return usageError{fmt.Errorf("there are plans for %d databases: draw one, with --connection", len(list))}
	}
	return writeTo(s, file, []byte(list[0].SVG))
}

// writeTo writes a file, or standard output if its name is -.
func writeTo(s *streams, file string, data []byte) error {
	if file == "-" {
		_, err := s.out.Write(data)
		return err
	}
	return os.WriteFile(file, data, 0o644) //nolint:gosec // a picture, for others to see
}
