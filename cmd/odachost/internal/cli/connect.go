package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/odac-run/odachost/buffer"
	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/plugins"
)

const (
	// closeTime is how long a host that stops may take to apply what is buffered.
	closeTime = 30 * time.Second
	// startTime is how long another host on the data folder may take to answer, or to go.
	startTime = 30 * time.Second
)

// connection is a host that a command talks to.
type connection struct {
	*admin.Client
	own  bool // it runs for this command alone
	stop func() error
}

// withHost runs a command against the host that serves the data folder, or one that lives as long as the command.
func withHost(c *cobra.Command, s *streams, makeData bool, do func(context.Context, connection) error) (err error) {
	l, err := load(c)
	if err != nil {
		return err
	}
	if !makeData {
		if err := dataExists(l); err != nil {
			return err
		}
	}
	conn, err := connect(c.Context(), s, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.stop()) }()
	return do(c.Context(), conn)
}

// dataExists keeps a command that was started in the wrong folder from making a new, empty data folder there.
func dataExists(l *config.Loaded) error {
	if _, err := os.Stat(filepath.Join(l.Data, host.StoreFolder)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("nothing was ever deployed in the data folder %s: name the right one with --data, or deploy a plugin", l.Data)
}

// connect finds the host that runs on the data folder, or starts one.
func connect(ctx context.Context, s *streams, l *config.Loaded) (connection, error) {
	log := slog.New(newLogHandler(s.console, slog.LevelWarn))
	if client, ok := admin.Dial(ctx, l.Data); ok {
		return connection{client, false, func() error { return nil }}, nil
	}
	_, stop, err := open(ctx, l, log, s.apart)
	if errors.Is(err, buffer.ErrLocked) { // another one starts, or ends
		err = retry(ctx, startTime, func() (bool, error) {
			if _, ok := admin.Dial(ctx, l.Data); ok {
				return true, nil
			}
			_, stop, err = open(ctx, l, log, s.apart)
			return !errors.Is(err, buffer.ErrLocked), err
		})
	}
	if err != nil {
		return connection{}, err
	}
	client, ok := admin.Dial(ctx, l.Data)
	switch {
	case ok && stop == nil:
		return connection{client, false, func() error { return nil }}, nil
	case !ok && stop != nil:
		return connection{}, errors.Join(errors.New("the host's socket does not answer"), stop())
	case !ok:
		return connection{}, fmt.Errorf("the host on %s went away: try again", l.Data)
	}
	return connection{client, true, stop}, nil
}

// retry does something every 50 ms until it is done or the time is over, and gives its last error.
func retry(ctx context.Context, patience time.Duration, do func() (done bool, err error)) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := do()
		if done {
			return err
		}
		select {
		case <-tick.C:
		case <-late.C:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inUseError says that another host has the data folder.
type inUseError string

func (e inUseError) Error() string {
	return fmt.Sprintf("the data folder %s is in use by another host: stop that one, or give this one a folder of its own with --data, ODAC_DATA or the key data", string(e))
}

// Unwrap is the lock's error.
func (e inUseError) Unwrap() error { return buffer.ErrLocked }

// open starts a host with its admin socket; change, if not nil, has the last word on its configuration. The returned
// function stops both.
func open(ctx context.Context, l *config.Loaded, log *slog.Logger, change func(*host.Config)) (*host.Host, func() error, error) {
	cfg, err := l.Host()
	if err != nil {
		return nil, nil, usageError{err}
	}
	cfg.Logger, cfg.Version = log, Version()
	if change != nil {
		change(&cfg)
	}
	h, err := host.New(ctx, cfg)
	if errors.Is(err, buffer.ErrLocked) {
		return nil, nil, inUseError(l.Data)
	}
	if err != nil {
		return nil, nil, err
	}
	closeHost := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		return h.Close(ctx)
	}
	listener, err := admin.Listen(l.Data)
	if err != nil {
		return nil, nil, errors.Join(err, closeHost())
	}
	server := admin.Server(h)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("admin socket", "error", err)
		}
	}()
	return h, func() error {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		err := server.Shutdown(drain)
		<-done
		return errors.Join(err, closeHost())
	}, nil
}

// offline lists what is deployed where no host runs, and touches nothing.
func offline(l *config.Loaded) (*plugins.Store, error) {
	if err := dataExists(l); err != nil {
		return nil, err
	}
	return plugins.OpenStore(filepath.Join(l.Data, host.StoreFolder), plugins.StoreOptions{})
}
