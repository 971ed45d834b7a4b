package cli

import (
	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/internal/console"
)

func configCommand(s *streams) *cobra.Command {
	var keys bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration with secrets hidden, or every key",
		Args:  args(0, 0),
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
			values := l.Effective()
			rows := make([][]string, 0, len(values))
			for _, v := range values {
				rows = append(rows, []string{v.Path, v.Text, v.From})
			}
			out.Table([]string{"KEY", "VALUE", "FROM"}, rows)
			return nil
		},
	}
	addConfig(c)
	c.Flags().BoolVar(&keys, "keys", false, "list every key with its type, default and meaning")
	return c
}

func printKeys(out *console.Console) {
	keys := config.Keys()
	rows := make([][]string, 0, len(keys))
	for _, k := range keys {
		rows = append(rows, []string{k.Path, k.Kind(), k.Default, k.Env(), k.Doc})
	}
	out.Table([]string{"KEY", "TYPE", "DEFAULT", "ENVIRONMENT", "MEANING"}, rows)
}

func versionCommand(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(0, 0),
		RunE:  func(*cobra.Command, []string) error { return s.println("odachost " + Version()) },
	}
}
