package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func serveCommand(s *streams) *cobra.Command {
	var sources []string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve what is deployed, until interrupted",
		Long: `Serve answers HTTP with the plugins that are deployed in the data folder. With --deploy it first deploys plugins from
project folders, which are built, or .odac files; capabilities that they ask for count as approved.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := load(c)
			if err != nil {
				return err
			}
			return serve(c.Context(), s, l, sources)
		},
	}
	config.AddFlags(c.Flags())
	c.Flags().StringArrayVar(&sources, "deploy", nil, "project folder or .odac file to deploy first (again for more)")
	return c
}

func serve(ctx context.Context, s *streams, l *config.Loaded, sources []string) (err error) {
	listener, err := listen(l)
	if err != nil {
		return err
	}
	defer listener.Close()
	h, stop, err := open(ctx, l, newLogger(s, l))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, source := range sources {
		if err := deployInto(ctx, s, h, source); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	printAddress(s, l, h, listener)
	return h.Serve(ctx, listener)
}

// listen opens the address before anything else, so that a taken port is known at once.
func listen(l *config.Loaded) (net.Listener, error) {
	listener, err := net.Listen("tcp", l.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w: choose another address with --listen, ODAC_LISTEN or the key listen", err)
	}
	return listener, nil
}

func printAddress(s *streams, l *config.Loaded, h *host.Host, listener net.Listener) {
	scheme := "http"
	if l.TLS.Cert != "" {
		scheme = "https"
	}
	url := scheme + "://" + listener.Addr().String()
	for _, p := range h.Plugins() {
		if p.Err == nil {
			fmt.Fprintf(s.err, "%-20s %s%s\n", p.Name+" "+p.Version, url, p.Mount.Path)
		}
	}
	fmt.Fprintln(s.out, "serving on "+url)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
