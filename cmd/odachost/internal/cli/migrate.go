package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func migrateCommand(s *streams) *cobra.Command {
	c := group("migrate", "See and apply what a plugin's schema wants of its database")
	c.AddCommand(
		migrateStep(s, "status", "Show the plan; write nothing", false),
		migrateStep(s, "apply", "Apply the plan", true),
	)
	return c
}

func migrateStep(s *streams, name, short string, apply bool) *cobra.Command {
	var tenant, approve string
	c := &cobra.Command{
		Use:   name + " PLUGIN",
		Short: short,
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				list, err := conn.Migrate(ctx, tenant, args[0], apply, approve)
				if err != nil {
					return err
				}
				if len(list) == 0 {
					return s.println(args[0] + " has no schema")
				}
				for _, m := range list {
					what := m.Text
					switch {
					case m.Steps == 0:
						what = "nothing to do\n"
					case m.Applied:
						what = "applied\n" + what
					}
					if _, err := fmt.Fprintf(s.out, "%s: %s", m.Database, what); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	addConfig(c)
	addTenant(c, &tenant)
	if apply {
		c.Flags().StringVar(&approve, "approve-plan", "", "hash of a plan with destructive steps to allow")
	}
	return c
}
