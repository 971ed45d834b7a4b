package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/term"

	"github.com/odac-run/odachost/cmd/odachost/internal/config"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/internal/console"
)

// logHandler writes log lines for people, through the console, so that they do not tear the step that runs:
//
//	12:01:02 WARN  board: over the limit id=k3-1
type logHandler struct {
	console *console.Console
	level   slog.Level
	// hushed drops what the command itself says: that a revision serves.
	hushed *atomic.Bool
	attrs  []slog.Attr
	groups string
}

func newLogHandler(c *console.Console, level slog.Level) *logHandler {
	return &logHandler{console: c, level: level, hushed: new(atomic.Bool)}
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = with.attrs[:len(with.attrs):len(with.attrs)]
	for _, a := range attrs {
		a.Key = h.groups + a.Key
		with.attrs = append(with.attrs, a)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.groups += name + "."
	return &with
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	if h.hushed.Load() && r.Message == "serving" {
		return nil
	}
	var plugin string
	var rest strings.Builder
	add := func(a slog.Attr) {
		switch text := a.Value.Resolve().String(); {
		case a.Key == "plugin":
			plugin = strings.TrimPrefix(text, host.DefaultTenant+"/") + ": "
		case a.Key == "revision", text == "", text == "<nil>": // for machines
		default:
			rest.WriteString(" " + a.Key + "=" + quoted(text))
		}
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(func(a slog.Attr) bool {
		a.Key = h.groups + a.Key
		add(a)
		return true
	})
	h.console.Printf("%s %-5s %s%s%s", r.Time.Format("15:04:05"), r.Level, plugin, r.Message, rest.String())
	return nil
}

// quoted keeps a value of several words together.
func quoted(s string) string {
	if strings.ContainsAny(s, " \n\t\"=") {
		return strconv.Quote(s)
	}
	return s
}

// newLogger is the host's log as log.level and log.format say; people is what auto means. hush(true) keeps what the command
// says itself out of a log for people.
func newLogger(s *streams, l *config.Loaded, people bool) (log *slog.Logger, hush func(bool)) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Log.Level)) // checked when it was loaded
	options := &slog.HandlerOptions{Level: level}
	switch {
	case l.Log.Format == "json", l.Log.Format == "auto" && !people:
		return slog.New(slog.NewJSONHandler(s.err, options)), func(bool) {}
	case l.Log.Format == "text" && !isTerminal(s.err):
		return slog.New(slog.NewTextHandler(s.err, options)), func(bool) {}
	}
	h := newLogHandler(s.console, level)
	return slog.New(h), h.hushed.Store
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// println is for lines of a command's answer.
func (s *streams) println(args ...any) error {
	_, err := fmt.Fprintln(s.out, args...)
	return err
}
