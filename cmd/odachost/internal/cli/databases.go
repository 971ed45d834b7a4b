package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/internal/console"
)

func databasesCommand(s *streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "databases",
		Short: "Ask each open database whether it answers, and list them with their connections",
		Long: `Ask each open database whether it answers, and list them with their connections. The exit status is 1 if one does not.

A database is opened when something needs it first.`,
		Args: args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				list, err := conn.Databases(ctx)
				if err != nil {
					return err
				}
				rows := make([][]string, 0, len(list))
				var errs []error
				for _, d := range list {
					state := d.Latency.String()
					if d.Error != "" {
						state = "does not answer"
						errs = append(errs, fmt.Errorf("database %s of tenant %s: %s", d.Name, d.Tenant, d.Error))
					}
					rows = append(rows, []string{
						d.Tenant, d.Name, d.Server, state, fmt.Sprintf("%d of %d", d.InUse, d.Connections), strconv.Itoa(d.Waiting),
						strconv.FormatUint(d.Queries, 10), strconv.FormatUint(d.Errors, 10), strconv.FormatUint(d.Reopened, 10),
					})
				}
				console.New(s.out).Table([]string{"TENANT", "DATABASE", "SERVER", "ANSWERS IN", "CONNECTIONS", "WAITING", "STATEMENTS", "ERRORS", "REOPENED"}, rows)
				return errors.Join(errs...)
			})
		},
	}
	addConfig(c)
	return c
}
