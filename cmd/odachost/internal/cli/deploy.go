package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/build"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/console"
	"github.com/odac-run/odachost/plugins"
	"github.com/spf13/cobra"
)

func deployCommand(s *streams) *cobra.Command {
	var d admin.Deploy
	c := &cobra.Command{
		Use:   "deploy FOLDER|FILE.odac",
		Short: "Deploy a plugin, to the host that runs on the data folder or for the next one",
		Long: `Deploy builds a project folder, or takes an .odac file, and makes it serve: the host loads it, brings the tenant's
database to its schema and swaps it in without losing a request. If anything fails, what served before serves on.

A project folder is yours, so the capabilities in its plugin.yaml count as approved. What an .odac file adds to what
already runs has to be approved with --approve.`,
		Args: exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withHost(c, s, func(ctx context.Context, client *admin.Client) error {
				bundle, err := bundleOf(ctx, s, args[0])
				if err != nil {
					return err
				}
				d.By = userName()
				d.Approve = d.Approve || isFolder(args[0])
				return deploy(ctx, s, client, bundle, d)
			})
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().StringVar(&d.Tenant, "tenant", host.DefaultTenant, "tenant to deploy for")
	c.Flags().StringVar(&d.Name, "name", "", "name of the deployment (default the plugin's)")
	c.Flags().StringVar(&d.Note, "note", "", "why, for the history")
	c.Flags().BoolVar(&d.Approve, "approve", false, "allow the capabilities that this revision adds")
	c.Flags().StringVar(&d.ApprovePlan, "approve-plan", "", "hash of a migration plan with destructive steps to allow")
	return c
}

func deploy(ctx context.Context, s *streams, client *admin.Client, bundle *plugins.Bundle, d admin.Deploy) error {
	step := s.console.Step("deploy %s %s", bundle.Manifest().Name, bundle.Manifest().Version)
	record, err := client.Deploy(ctx, bundle.Bytes(), d, func(string) {})
	if err != nil {
		var refused *admin.Error
		if errors.As(err, &refused) && refused.Approval {
			err = fmt.Errorf("%w\nto allow them, deploy again with --approve", err)
		}
		step.Fail(errors.New("not deployed; what served before serves on"))
		return err
	}
	step.Done(record.Digest.Short())
	return nil
}

// deployInto deploys from a folder or file into a host of this process; the one who starts it approves.
func deployInto(ctx context.Context, s *streams, h *host.Host, source string) error {
	bundle, err := bundleOf(ctx, s, source)
	if err != nil {
		return err
	}
	step := s.console.Step("deploy %s %s", bundle.Manifest().Name, bundle.Manifest().Version)
	record, err := h.Deploy(ctx, bundle, host.DeployOptions{By: userName(), Approve: true})
	if err != nil {
		step.Fail(errors.New("not deployed"))
		return err
	}
	step.Done(record.Digest.Short())
	return nil
}

// bundleOf builds and packs a project folder, or reads a file.
func bundleOf(ctx context.Context, s *streams, source string) (*plugins.Bundle, error) {
	if !isFolder(source) {
		return plugins.OpenFile(source)
	}
	step := s.console.Step("build %s", filepath.Clean(source))
	if err := build.Plugin(ctx, source); err != nil {
		step.Fail(errors.New("failed"))
		return nil, err
	}
	bundle, err := plugins.Pack(source)
	if err != nil {
		step.Fail(errors.New("failed"))
		return nil, err
	}
	step.Done(plugins.FormatSize(int64(len(bundle.Bytes()))))
	return bundle, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// withHost runs a command against the host that serves the data folder, or one that lives as long as the command.
func withHost(c *cobra.Command, s *streams, do func(context.Context, *admin.Client) error) (err error) {
	l, err := load(c)
	if err != nil {
		return err
	}
	client, stop, err := connect(c.Context(), s, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return do(c.Context(), client)
}

func exactArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usageError{fmt.Errorf("usage: odachost %s", strings.TrimPrefix(c.UseLine(), "odachost "))}
	}
}

func rollbackCommand(s *streams) *cobra.Command {
	in := admin.Rollback{By: userName()}
	c := &cobra.Command{
		Use:   "rollback PLUGIN",
		Short: "Make the revision before serve again",
		Args:  exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withHost(c, s, func(ctx context.Context, client *admin.Client) error {
				in.Name = args[0]
				record, err := client.Rollback(ctx, in)
				if err == nil {
					s.console.Printf("%s serves %s (%s)", in.Name, record.Version, record.Digest.Short())
				}
				return err
			})
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().StringVar(&in.Tenant, "tenant", host.DefaultTenant, "tenant of the deployment")
	c.Flags().StringVar(&in.To, "to", "", "digest of the history to go back to")
	c.Flags().StringVar(&in.Note, "note", "", "why, for the history")
	return c
}

func removeCommand(s *streams) *cobra.Command {
	in := admin.Remove{By: userName()}
	c := &cobra.Command{
		Use:   "remove PLUGIN",
		Short: "Take a plugin out of service; its data stays",
		Args:  exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return withHost(c, s, func(ctx context.Context, client *admin.Client) error {
				in.Name = args[0]
				return client.Remove(ctx, in)
			})
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().StringVar(&in.Tenant, "tenant", host.DefaultTenant, "tenant of the deployment")
	c.Flags().StringVar(&in.Note, "note", "", "why, for the history")
	return c
}

func pluginsCommand(s *streams) *cobra.Command {
	var tenant, history string
	c := &cobra.Command{
		Use:   "plugins",
		Short: "List what is deployed, or the history of one",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withHost(c, s, func(ctx context.Context, client *admin.Client) error {
				out := console.New(s.out)
				if history != "" {
					return printHistory(ctx, out, client, tenant, history)
				}
				return printPlugins(ctx, out, client)
			})
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().StringVar(&tenant, "tenant", host.DefaultTenant, "tenant of the deployment")
	c.Flags().StringVar(&history, "history", "", "plugin whose deployments to list")
	return c
}

func printPlugins(ctx context.Context, out *console.Console, client *admin.Client) error {
	list, err := client.Plugins(ctx)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, p := range list {
		state := "serves"
		if p.Error != "" {
			state, _, _ = strings.Cut(p.Error, "\n")
		}
		rows = append(rows, []string{
			p.Tenant, p.Name, p.Version, plugins.Digest(p.Digest).Short(), p.Mount, p.Isolation,
			fmt.Sprint(p.Events), fmt.Sprint(p.Failures), fmt.Sprint(p.Sockets), state,
		})
	}
	out.Table([]string{"TENANT", "PLUGIN", "VERSION", "REVISION", "MOUNT", "ISOLATION", "EVENTS", "FAILED", "SOCKETS", "STATE"}, rows)
	return nil
}

func printHistory(ctx context.Context, out *console.Console, client *admin.Client, tenant, name string) error {
	list, err := client.History(ctx, tenant, name)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, e := range list {
		rows = append(rows, []string{
			fmt.Sprint(e.Seq), e.At.Format("2006-01-02 15:04:05"), e.Action, e.Version, plugins.Digest(e.Digest).Short(), e.By, e.Note,
		})
	}
	out.Table([]string{"SEQ", "AT (UTC)", "ACTION", "VERSION", "REVISION", "BY", "NOTE"}, rows)
	return nil
}
