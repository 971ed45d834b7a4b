package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/console"
	"github.com/odac-run/odachost/plugins"
)

func pluginsCommand(s *streams) *cobra.Command {
	var tenant, history string
	var grants bool
	c := &cobra.Command{
		Use:   "plugins",
		Short: "List what is deployed, or the history of one plugin",
		Args:  args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := load(c)
			if err != nil {
				return err
			}
			if history != "" {
				return printHistory(c.Context(), s, l, tenant, history)
			}
			return printPlugins(c.Context(), s, l, grants)
		},
	}
	addConfig(c)
	addTenant(c, &tenant)
	c.Flags().StringVar(&history, "history", "", "plugin whose deployments to list")
	c.Flags().BoolVar(&grants, "grants", false, "list what each plugin may do: tables, columns, rows, hosts")
	return c
}

func printPlugins(ctx context.Context, s *streams, l *config.Loaded, grants bool) error {
	var list []admin.Plugin
	client, running := admin.Dial(ctx, l.Data)
	var err error
	if running {
		list, err = client.Plugins(ctx)
	} else {
		list, err = stopped(l)
	}
	if err != nil {
		return err
	}
	if len(list) == 0 {
		s.console.Printf("nothing is deployed")
		return nil
	}
	tenants := false
	for _, p := range list {
		tenants = tenants || p.Tenant != host.DefaultTenant
	}
	head := []string{"PLUGIN", "VERSION", "REVISION", "MOUNT", "ISOLATION", "EVENTS", "FAILED", "SOCKETS", "STATE"}
	rows := make([][]string, 0, len(list))
	for _, p := range list {
		state, name := "serves", p.Name
		if tenants {
			name = p.Tenant + "/" + name
		}
		if !p.TrialUntil.IsZero() {
			state = "on trial until " + p.TrialUntil.Local().Format(time.TimeOnly)
		}
		if p.Error != "" {
			state, _, _ = strings.Cut(p.Error, "\n")
		}
		rows = append(rows, []string{
			name, p.Version, plugins.Digest(p.Digest).Short(), p.Mount, p.Isolation,
			fmt.Sprint(p.Events), fmt.Sprint(p.Failures), fmt.Sprint(p.Sockets), state,
		})
	}
	if grants {
		head, rows = []string{"PLUGIN", "MAY"}, nil
		for _, p := range list {
			for _, line := range p.Grants {
				rows = append(rows, []string{p.Tenant + "/" + p.Name, line})
			}
		}
	}
	console.New(s.out).Table(head, rows)
	return nil
}

// stopped lists what a host on the data folder would serve.
func stopped(l *config.Loaded) ([]admin.Plugin, error) {
	store, err := offline(l)
	if err != nil {
		return nil, err
	}
	records, err := store.List()
	list := make([]admin.Plugin, 0, len(records))
	for _, r := range records {
		p := admin.Plugin{Tenant: r.Tenant, Name: r.Name, Version: r.Version, Digest: string(r.Digest), Error: "no host runs"}
		if revision, err := store.Revision(r.Digest); err != nil {
			p.Error = err.Error()
		} else {
			p.Mount, p.Isolation = revision.Manifest.Mount.Path, string(revision.Manifest.Isolation)
			p.Grants = admin.GrantsOf(revision.Manifest)
		}
		list = append(list, p)
	}
	return list, err
}

func printHistory(ctx context.Context, s *streams, l *config.Loaded, tenant, name string) error {
	var list []admin.History
	if client, running := admin.Dial(ctx, l.Data); running {
		var err error
		if list, err = client.History(ctx, tenant, name); err != nil {
			return err
		}
	} else {
		store, err := offline(l)
		if err != nil {
			return err
		}
		entries, err := store.History(tenant, name)
		if err != nil {
			return err
		}
		list = admin.HistoryOf(entries)
	}
	rows := make([][]string, 0, len(list))
	for _, e := range list {
		rows = append(rows, []string{
			fmt.Sprint(e.Seq), e.At.Format("2006-01-02 15:04:05"), e.Action, e.Version, plugins.Digest(e.Digest).Short(), e.By, e.Note,
		})
	}
	console.New(s.out).Table([]string{"SEQ", "AT (UTC)", "ACTION", "VERSION", "REVISION", "BY", "NOTE"}, rows)
	return nil
}
