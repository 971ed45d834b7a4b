package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/internal/console"
)

func tenantCommand(s *streams) *cobra.Command {
	c := group("tenant", "Add, list, export and remove tenants")
	c.Long = c.Short + `.

On a database server each tenant has a place of its own, which the server itself walls off: a schema and a login role on
PostgreSQL, a database and a user on MySQL. With SQLite a tenant is a folder of files and needs no adding.`
	c.AddCommand(tenantAddCommand(s), tenantListCommand(s), tenantExportCommand(s), tenantRemoveCommand(s))
	return c
}

func tenantAddCommand(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "add TENANT",
		Short: "Give a tenant its place on each database server",
		Long: `Add makes the tenant's places and their passwords. Again, it makes what is missing and sets the passwords anew. The
user of database.<name> in the configuration must be allowed to make roles and schemas (PostgreSQL), or databases and
users (MySQL).`,
		Args: args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return withHost(c, s, true, func(ctx context.Context, conn connection) error {
				step := s.console.Step("add tenant %s", args[0])
				places, err := conn.AddTenant(ctx, args[0])
				if err != nil {
					return show(step, err)
				}
				if len(places) == 0 {
					places = []string{"files only"}
				}
				step.Done(places...)
				return nil
			})
		},
	}
	addConfig(c)
	return c
}

func tenantListCommand(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the tenants, what they have stored, their places on servers and their plugins",
		Args:  args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				list, err := conn.Tenants(ctx)
				if err != nil {
					return err
				}
				rows := make([][]string, 0, len(list))
				for _, t := range list {
					rows = append(rows, []string{t.Name, size(t.Bytes), strings.Join(t.Places, ", "), strings.Join(t.Plugins, ", ")})
				}
				console.New(s.out).Table([]string{"TENANT", "BYTES", "SERVERS", "PLUGINS"}, rows)
				return nil
			})
		},
	}
	addConfig(c)
	return c
}

// size is a number of bytes, "?" if it is not known.
func size(bytes int64) string {
	if bytes < 0 {
		return "?"
	}
	return strconv.FormatInt(bytes, 10)
}

func tenantExportCommand(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "export TENANT",
		Short: "Print every row of a tenant's tables as a line of JSON",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				return conn.ExportTenant(ctx, args[0], s.out)
			})
		},
	}
	addConfig(c)
	return c
}

func tenantRemoveCommand(s *streams) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "remove TENANT",
		Short: "Drop all data of a tenant that has no plugins",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes {
				return usageError{errors.New("this drops all of the tenant's tables and files: say --yes, perhaps after tenant export")}
			}
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				step := s.console.Step("remove tenant %s", args[0])
				if err := conn.RemoveTenant(ctx, args[0]); err != nil {
					return show(step, err)
				}
				step.Done()
				return nil
			})
		},
	}
	addConfig(c)
	c.Flags().BoolVar(&yes, "yes", false, "drop the data")
	return c
}
