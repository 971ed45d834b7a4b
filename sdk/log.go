package odac

import (
	"context"
	"io"
	"log/slog"

	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Log writes to the host's log, which adds the plugin, the tenant and the request: odac.Log.Info("posted", "id", id). The arguments
// are those of log/slog.
var Log Logger

// Logger is the type of [Log]. It has no state, so that a plugin that does not log carries nothing for it.
type Logger struct{}

// Debug writes at the level debug.
func (Logger) Debug(msg string, args ...any) { logger().Debug(msg, args...) }

// Info writes at the level info.
func (Logger) Info(msg string, args ...any) { logger().Info(msg, args...) }

// Warn writes at the level warn.
func (Logger) Warn(msg string, args ...any) { logger().Warn(msg, args...) }

// Error writes at the level error.
func (Logger) Error(msg string, args ...any) { logger().Error(msg, args...) }

// Slog is the log as a logger of log/slog, for its other methods and for libraries.
func (Logger) Slog() *slog.Logger { return logger() }

func logger() *slog.Logger {
	w := &logLine{}
	text := slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: bare})
	return slog.New(&logHandler{Handler: text, line: w})
}

// bare leaves out what the host knows: time and level.
func bare(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

// logHandler writes a record as text with its level.
type logHandler struct {
	slog.Handler
	line *logLine
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.line.level = wire.LogError
	switch {
	case r.Level < slog.LevelInfo:
		h.line.level = wire.LogDebug
	case r.Level < slog.LevelWarn:
		h.line.level = wire.LogInfo
	case r.Level < slog.LevelError:
		h.line.level = wire.LogWarn
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{Handler: h.Handler.WithAttrs(attrs), line: h.line}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	return &logHandler{Handler: h.Handler.WithGroup(name), line: h.line}
}

// logLine sends each line to the host. slog's text handler writes a record at once, under its own lock.
type logLine struct{ level wire.LogLevel }

var _ io.Writer = (*logLine)(nil)

func (w *logLine) Write(p []byte) (int, error) {
	n := len(p)
	if n > 0 && p[n-1] == '\n' {
		p = p[:n-1]
	}
	wire.Log(w.level, string(p))
	return n, nil
}
