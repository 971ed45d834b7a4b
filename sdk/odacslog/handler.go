package odacslog

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/odac-run/odachost/sdk/internal/wire"
)

// New is a logger that writes to the host's log. The host drops what is below its level.
func New() *slog.Logger {
	line := &bytes.Buffer{}
	text := slog.NewTextHandler(line, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: bare})
	return slog.New(&handler{text, line})
}

// bare leaves out what the host adds.
func bare(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return slog.Attr{}
	}
	return a
}

// handler writes one record at a time: an instance runs one event at a time.
type handler struct {
	slog.Handler
	line *bytes.Buffer
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	level := wire.LogError
	switch {
	case r.Level < slog.LevelInfo:
		level = wire.LogDebug
	case r.Level < slog.LevelWarn:
		level = wire.LogInfo
	case r.Level < slog.LevelError:
		level = wire.LogWarn
	}
	h.line.Reset()
	err := h.Handler.Handle(ctx, r)
	wire.Log(level, string(bytes.TrimSuffix(h.line.Bytes(), []byte{'\n'})))
	return err
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.line}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.line}
}
