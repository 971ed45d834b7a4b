package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

func serveCommand(s *streams) *cobra.Command {
	var sources []string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve what is deployed, until interrupted",
		Long: `Serve answers HTTP with the plugins that are deployed in the data folder. With --deploy it first deploys plugins from
project folders, which are built, or .odac files; capabilities that they ask for count as approved. What is deployed
already is not deployed again.

An interrupt, or SIGTERM, drains: requests finish, sockets are closed with 1001, buffered writes are applied. A second
interrupt ends at once.`,
		Args: args(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := load(c)
			if err != nil {
				return err
			}
			return serve(c.Context(), s, l, sources)
		},
	}
	addConfig(c, "listen", "log.level", "log.format")
	c.Flags().StringArrayVar(&sources, "deploy", nil, "project folder or .odac file to deploy first (again for more)")
	return c
}

func serve(ctx context.Context, s *streams, l *config.Loaded, sources []string) (err error) {
	listener, err := listen(l)
	if err != nil {
		return err
	}
	defer listener.Close()
	log, hush := newLogger(s, l, isTerminal(s.err))
	hush(true)
	h, stop, err := open(ctx, l, log, s.apart)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := deployAll(ctx, s, h, sources); err != nil {
		return err
	}
	greet(s, l, h, listener)
	hush(false)
	return serveUntil(ctx, s, h, listener)
}

// serveUntil serves until the context ends, and says that it is draining then.
func serveUntil(ctx context.Context, s *streams, h *host.Host, listener net.Listener) error {
	draining := context.AfterFunc(ctx, func() {
		s.console.Printf("stopping: requests finish, sockets are closed; interrupt again to end at once")
	})
	defer draining()
	return h.Serve(ctx, listener)
}

// deployAll builds several plugins at a time and deploys them in the order that they were named in; who starts the host
// approves what they ask for.
func deployAll(ctx context.Context, s *streams, h *host.Host, sources []string) error {
	bundles := make([]*plugins.Bundle, len(sources))
	work, building := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i, source := range sources {
		work.Go(func() (err error) {
			bundles[i], err = bundleOf(building, s, source)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	for _, bundle := range bundles {
		if err := deployInto(ctx, s, h, bundle); err != nil {
			return err
		}
	}
	return nil
}

func deployInto(ctx context.Context, s *streams, h *host.Host, bundle *plugins.Bundle) error {
	step := s.console.Step("deploy %s %s", bundle.Manifest().Name, bundle.Manifest().Version)
	before, _ := h.Store().Get(host.DefaultTenant, bundle.Manifest().Name)
	record, err := h.Deploy(ctx, bundle, host.DeployOptions{By: userName(), Approve: true})
	if err != nil {
		return show(step, err)
	}
	step.Done(outcome(record, before.Seq))
	return nil
}

// outcome is what a deploy came to, for its step.
func outcome(record plugins.Deployment, before int64) string {
	if record.Seq == before {
		return "unchanged"
	}
	return record.Digest.Short()
}

// listen opens the address before anything else, so that a taken port is known at once.
func listen(l *config.Loaded) (net.Listener, error) {
	listener, err := net.Listen("tcp", l.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with --listen, ODAC_LISTEN or the key listen", err)
	}
	return listener, nil
}

// greet says what is served where: a line for each deployment, then the one that other programs wait for.
func greet(s *streams, l *config.Loaded, h *host.Host, listener net.Listener) {
	scheme := "http"
	if l.TLS.Cert != "" {
		scheme = "https"
	}
	address := listener.Addr().String()
	if ip, port, err := net.SplitHostPort(address); err == nil && net.ParseIP(ip).IsUnspecified() {
		address = net.JoinHostPort("localhost", port)
	}
	var lines [][2]string
	width := 0
	for _, p := range h.Plugins() {
		name := strings.TrimPrefix(p.Tenant+"/"+p.Name, host.DefaultTenant+"/")
		where := scheme + "://" + address + strings.TrimSuffix(p.Mount.Path, "/") + "/"
		if len(p.Mount.Hosts) > 0 {
			where += " for " + strings.Join(p.Mount.Hosts, ", ")
		}
		if p.Err != nil {
			where = "does not serve: " + p.Err.Error()
		} else {
			name += " " + p.Version
		}
		lines = append(lines, [2]string{name, where})
		width = max(width, len(name))
	}
	for _, line := range lines {
		s.console.Printf("  %-*s  %s", width, line[0], strings.ReplaceAll(line[1], "\n", "\n  "+strings.Repeat(" ", width+2)))
	}
	if len(lines) == 0 {
		s.console.Printf("nothing is deployed: odachost deploy FOLDER")
	}
	_ = s.println("serving on " + scheme + "://" + address) // nobody reads along
}
