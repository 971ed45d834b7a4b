package cli

import (
	"fmt"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/internal/console"
	"github.com/spf13/cobra"
)

func configCommand(s *streams) *cobra.Command {
	var keys bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration with secrets hidden, or every key",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := console.New(s.out)
			if keys {
				printKeys(out)
				return nil
			}
			l, err := load(c)
			if err != nil {
				return err
			}
			if _, err := l.Host(); err != nil {
				return usageError{err}
			}
			var rows [][]string
			for _, v := range l.Effective() {
				rows = append(rows, []string{v.Path, v.Text, v.From})
			}
			out.Table([]string{"KEY", "VALUE", "FROM"}, rows)
			return nil
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().BoolVar(&keys, "keys", false, "list every key with its type, default and meaning")
	return c
}

func printKeys(out *console.Console) {
	var rows [][]string
	for _, k := range config.Keys() {
		rows = append(rows, []string{k.Path, k.Kind(), k.Default, k.Env(), k.Doc})
	}
	out.Table([]string{"KEY", "TYPE", "DEFAULT", "ENVIRONMENT", "MEANING"}, rows)
}

func versionCommand(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(s.out, "odachost "+Version())
			return err
		},
	}
}
