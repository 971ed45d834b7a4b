package cli

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/odac-run/odachost/cmd/odachost/internal/admin"
	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
)

// closeTime is how long a host that stops may take to apply what is buffered.
const closeTime = 30 * time.Second

// connect finds the host that runs on the data folder, or starts one for as long as the command takes. Call the
// returned function at the end.
func connect(ctx context.Context, s *streams, l *config.Loaded) (*admin.Client, func() error, error) {
	if c, ok := admin.Dial(ctx, l.Data); ok {
		return c, func() error { return nil }, nil
	}
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	_, stop, err := open(ctx, l, log)
	if err != nil {
		return nil, nil, err
	}
	c, ok := admin.Dial(ctx, l.Data)
	if !ok {
		return nil, nil, errors.Join(errors.New("the host's socket does not answer"), stop())
	}
	return c, stop, nil
}

// open starts a host with its admin socket. The returned function stops both.
func open(ctx context.Context, l *config.Loaded, log *slog.Logger) (*host.Host, func() error, error) {
	cfg, err := l.Host()
	if err != nil {
		return nil, nil, usageError{err}
	}
	cfg.Logger, cfg.Version = log, Version()
	h, err := host.New(ctx, cfg)
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

// newLogger is the host's log as log.level and log.format say.
func newLogger(s *streams, l *config.Loaded) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Log.Level)) // checked when it was loaded
	options := &slog.HandlerOptions{Level: level}
	f, isFile := s.err.(*os.File)
	if l.Log.Format == "text" || l.Log.Format == "auto" && isFile && isTerminal(f) {
		return slog.New(slog.NewTextHandler(s.err, options))
	}
	return slog.New(slog.NewJSONHandler(s.err, options))
}
