package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
)

func rollbackCommand(s *streams) *cobra.Command {
	var in admin.Rollback
	c := &cobra.Command{
		Use:   "rollback PLUGIN",
		Short: "Make the revision before serve again",
		Long: `Rollback undoes the newest deployment, and each further one undoes the one before it. The database stays as it is:
migrations add, so an older revision finds what it knew.`,
		Args: args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			in.Name, in.By = args[0], userName()
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				step := s.console.Step("roll back %s", in.Name)
				record, err := conn.Rollback(ctx, in)
				if err != nil {
					return show(step, err)
				}
				step.Done(record.Version, record.Digest.Short())
				return nil
			})
		},
	}
	addConfig(c)
	addTenant(c, &in.Tenant)
	c.Flags().StringVar(&in.To, "to", "", "digest of the history to go back to")
	c.Flags().StringVar(&in.Note, "note", "", "why, for the history")
	return c
}

func removeCommand(s *streams) *cobra.Command {
	var in admin.Remove
	c := &cobra.Command{
		Use:   "remove PLUGIN",
		Short: "Take a plugin out of service; its data stays",
		Args:  args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			in.Name, in.By = args[0], userName()
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				step := s.console.Step("remove %s", in.Name)
				if err := conn.Remove(ctx, in); err != nil {
					return show(step, err)
				}
				step.Done()
				return nil
			})
		},
	}
	addConfig(c)
	addTenant(c, &in.Tenant)
	c.Flags().StringVar(&in.Note, "note", "", "why, for the history")
	return c
}
