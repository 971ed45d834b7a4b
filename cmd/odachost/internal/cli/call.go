package cli

import (
	"context"
	"io"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/spf13/cobra"
)

func callCommand(s *streams) *cobra.Command {
	var tenant string
	c := &cobra.Command{
		Use:   "call PLUGIN FUNCTION [BODY]",
		Short: "Call a function that a plugin offers; BODY - is standard input",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			var body []byte
			if len(args) == 3 {
				body = []byte(args[2])
				if args[2] == "-" {
					var err error
					if body, err = io.ReadAll(s.in); err != nil {
						return err
					}
				}
			}
			return withHost(c, s, func(ctx context.Context, client *admin.Client) error {
				answer, err := client.Call(ctx, tenant, args[0], args[1], body)
				if err == nil {
					_, err = s.out.Write(answer)
				}
				return err
			})
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().StringVar(&tenant, "tenant", host.DefaultTenant, "tenant of the deployment")
	return c
}
