package cli

import (
	"context"
	"fmt"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/spf13/cobra"
)

func migrateCommand(s *streams) *cobra.Command {
	c := &cobra.Command{Use: "migrate", Short: "See and apply what a plugin's schema wants of its database", Args: cobra.NoArgs}
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
		Args:  exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withHost(c, s, func(ctx context.Context, client *admin.Client) error {
				list, err := client.Migrate(ctx, tenant, args[0], apply, approve)
				for _, m := range list {
					switch {
					case m.Steps == 0:
						fmt.Fprintf(s.out, "%s: nothing to do\n", m.Database)
					case m.Applied:
						fmt.Fprintf(s.out, "%s: applied %d steps\n%s", m.Database, m.Steps, m.Text)
					default:
						fmt.Fprintf(s.out, "%s: %d steps, plan %s\n%s", m.Database, m.Steps, m.Hash, m.Text)
					}
				}
				return err
			})
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().StringVar(&tenant, "tenant", host.DefaultTenant, "tenant of the deployment")
	if apply {
		c.Flags().StringVar(&approve, "approve-plan", "", "hash of a plan with destructive steps to allow")
	}
	return c
}
