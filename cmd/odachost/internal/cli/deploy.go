package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/build"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
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
		Args: args(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			bundle, err := bundleOf(c.Context(), s, args[0])
			if err != nil {
				return err
			}
			d.By, d.Approve = userName(), d.Approve || isFolder(args[0])
			return withHost(c, s, true, func(ctx context.Context, conn connection) error {
				if err := deploy(ctx, s, conn, bundle, d); err != nil {
					return err
				}
				if conn.own {
					s.console.Printf("no host runs on the data folder: odachost serve starts one")
				}
				return nil
			})
		},
	}
	addConfig(c)
	addTenant(c, &d.Tenant)
	c.Flags().StringVar(&d.Name, "name", "", "name of the deployment (default the plugin's)")
	c.Flags().StringVar(&d.Note, "note", "", "why, for the history")
	c.Flags().BoolVar(&d.Approve, "approve", false, "allow the capabilities that this revision adds")
	c.Flags().StringVar(&d.ApprovePlan, "approve-plan", "", "hash of a migration plan with destructive steps to allow")
	return c
}

func addTenant(c *cobra.Command, tenant *string) {
	c.Flags().StringVar(tenant, "tenant", host.DefaultTenant, "tenant of the deployment")
}

func deploy(ctx context.Context, s *streams, conn connection, bundle *plugins.Bundle, d admin.Deploy) error {
	name := d.Name
	if name == "" {
		name = bundle.Manifest().Name
	}
	step := s.console.Step("deploy %s %s", name, bundle.Manifest().Version)
	unchanged := false
	record, err := conn.Deploy(ctx, bundle.Bytes(), d, func(step string) { unchanged = unchanged || step == "unchanged" })
	if err != nil {
		err = show(step, err)
		hint(s, err)
		return err
	}
	if unchanged {
		step.Done("unchanged")
	} else {
		step.Done(record.Digest.Short())
	}
	return nil
}

// hint says how to allow what was refused.
func hint(s *streams, err error) {
	var refused *admin.Error
	switch {
	case !errors.As(err, &refused):
	case refused.Approval:
		s.console.Printf("to allow them: deploy again with --approve")
	case refused.Plan != "":
		s.console.Printf("to allow it: deploy again with --approve-plan %s", refused.Plan)
	}
}

// bundleOf builds and packs a project folder, or reads a file. Its error is shown already.
func bundleOf(ctx context.Context, s *streams, source string) (*plugins.Bundle, error) {
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there: name a plugin's folder or an %s file", source, plugins.BundleExt)
	}
	if !isFolder(source) {
		return plugins.OpenFile(source)
	}
	step := s.console.Step("build %s", nameOf(source))
	bundle, err := buildBundle(ctx, source)
	if err != nil {
		return nil, show(step, err)
	}
	step.Done(plugins.FormatSize(int64(len(bundle.Bytes())+1023) &^ 1023))
	return bundle, nil
}

func buildBundle(ctx context.Context, dir string) (*plugins.Bundle, error) {
	if err := build.Plugin(ctx, dir); err != nil {
		return nil, err
	}
	return plugins.Pack(dir)
}

// nameOf is a folder's name for people: "." says nothing.
func nameOf(dir string) string {
	if absolute, err := filepath.Abs(dir); err == nil && filepath.Clean(dir) == "." {
		return filepath.Base(absolute)
	}
	return filepath.Clean(dir)
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
