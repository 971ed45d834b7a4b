package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func callCommand(s *streams) *cobra.Command {
	var tenant string
	c := &cobra.Command{
		Use:   "call PLUGIN FUNCTION [BODY]",
		Short: "Call a function that a plugin offers; BODY - is standard input",
		Args:  args(2, 3),
		RunE: func(c *cobra.Command, args []string) error {
			var body []byte
			if len(args) == 3 {
				body = []byte(args[2])
				if args[2] == "-" {
					var err error
					if body, err = io.ReadAll(s.in); err != nil {
						return fmt.Errorf("read standard input: %w", err)
					}
				}
			}
			return withHost(c, s, false, func(ctx context.Context, conn connection) error {
				answer, err := conn.Call(ctx, tenant, args[0], args[1], body)
				if err != nil {
					return err
				}
				if isTerminal(s.out) && len(answer) > 0 && !bytes.HasSuffix(answer, []byte("\n")) {
					answer = append(answer, '\n')
				}
				_, err = s.out.Write(answer)
				return err
			})
		},
	}
	addConfig(c)
	addTenant(c, &tenant)
	return c
}
