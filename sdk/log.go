package odac

import (
	"fmt"
	"strconv"
	"time"

	"github.com/odac-run/odachost/sdk/internal/wire"
)

// Log writes to the host's log, which adds the time, the plugin, the tenant and the request:
//
//	odac.Log.Info("posted", "id", id, "name", name)
//
// The arguments after the message are pairs of key and value, as those of log/slog; package odacslog gives a *slog.Logger
// that writes to the same place. (It is not built on log/slog, which makes a plugin larger by half a megabyte.)
var Log Logger

// Logger is the type of [Log]. It has no state, so that a plugin that does not log carries nothing for it.
type Logger struct{}

// Debug writes at the level debug.
func (Logger) Debug(msg string, args ...any) { wire.Log(wire.LogDebug, line(msg, args)) }

// Info writes at the level info.
func (Logger) Info(msg string, args ...any) { wire.Log(wire.LogInfo, line(msg, args)) }

// Warn writes at the level warn.
func (Logger) Warn(msg string, args ...any) { wire.Log(wire.LogWarn, line(msg, args)) }

// Error writes at the level error.
func (Logger) Error(msg string, args ...any) { wire.Log(wire.LogError, line(msg, args)) }

// line is a message and its pairs as slog's text handler writes pairs: posted id=7 name="Ann B".
func line(msg string, args []any) string {
	b := []byte(msg)
	for i := 0; i < len(args); i += 2 {
		key, value := "!BADKEY", args[i]
		if k, ok := args[i].(string); ok && i+1 < len(args) {
			key, value = k, args[i+1]
		}
		b = append(append(append(b, ' '), key...), '=')
		b = appendLogValue(b, value)
	}
	return string(b)
}

func appendLogValue(b []byte, v any) []byte {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case time.Duration:
		text = v.String()
	case time.Time:
		return v.AppendFormat(b, time.RFC3339Nano)
	case error:
		text = v.Error()
	default:
		text = fmt.Sprint(v)
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == '"' || c == '=' || c >= 0x7f {
			return strconv.AppendQuote(b, text)
		}
	}
	if text == "" {
		return append(b, `""`...)
	}
	return append(b, text...)
}
