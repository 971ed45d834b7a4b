package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
)

// event brings one event to an instance of the revision and decodes what it answers into out (nil: nothing is
// expected). The caller holds the revision. patient waits for an instance as long as ctx does. Errors are ErrBusy,
// ErrClosed, ctx's, or a *PluginError; after any of them out is not to be used.
func (r *revision) event(ctx context.Context, kind abi.EventKind, id string, in msgp.Marshaler, out msgp.Unmarshaler, patient bool) error {
	guest, instance, err := r.acquire(ctx, patient)
	if err != nil {
		if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrClosed) && ctx.Err() == nil {
			r.log.Error("no instance", "event", kind.String(), "id", id, "error", err)
		}
		return err
	}
	c := newCall(r, kind, id)
	defer c.end()
	if guest.routes != nil {
		guest.translate(in)
	}
	if c.input, err = in.MarshalMsg(c.input[:0]); err != nil {
		guest.pool.Release(instance, false)
		return fmt.Errorf("host: encode the event: %w", err)
	}
	r.stat.events.Add(1)
	errno, err := r.run(ctx, instance.Instance, c, abi.ExportEvent, uint64(kind), uint64(len(c.input)))
	r.stat.fuel.Add(uint64(instance.FuelUsed()))
	guest.pool.Release(instance, err != nil)
	if err != nil || errno != abi.ErrnoOK {
		r.stat.failures.Add(1)
		return r.failure(c, errno, err)
	}
	if out == nil {
		return nil
	}
	if _, err := out.UnmarshalMsg(c.output); err != nil {
		r.stat.failures.Add(1)
		return &PluginError{Plugin: r.key.String(), Errno: abi.ErrnoInternal, Text: fmt.Sprintf("malformed reply to %s: %v", kind, err), Err: err}
	}
	return nil
}

// run calls an export with the call's state in place until the revision's time limit.
func (r *revision) run(ctx context.Context, in *engine.Instance, c *call, export string, args ...uint64) (abi.Errno, error) {
	result, err := in.Call(ctx, c, time.Now().Add(r.limits.Time), export, args...)
	return abi.Errno(result), err
}

// failure turns what ended a call into an error for people.
func (r *revision) failure(c *call, errno abi.Errno, err error) error {
	e := &PluginError{Plugin: r.key.String(), Errno: errno, Err: err}
	var trap *engine.TrapError
	switch {
	case err == nil:
		e.Text = string(c.output)
		if e.Text == "" {
			e.Text = errno.Kind()
		}
	case errors.Is(err, engine.ErrDeadline):
		e.Errno, e.Text = abi.ErrnoTimeout, fmt.Sprintf("%s took longer than %s: make it faster, or raise limits.time in plugin.yaml", c.kind, r.limits.Time)
	case errors.Is(err, engine.ErrCanceled):
		e.Errno, e.Text = abi.ErrnoCanceled, "the caller went away"
	case errors.Is(err, engine.ErrMemoryLimit):
		e.Errno, e.Text = abi.ErrnoLimit, fmt.Sprintf("%s used more memory than limits.memory in plugin.yaml allows", c.kind)
	case errors.Is(err, engine.ErrFuel):
		r.stat.outOfFuel.Add(1)
		e.Errno, e.Text = abi.ErrnoLimit, fmt.Sprintf("%s used more fuel than %d: make it do less, or raise limits.fuel in plugin.yaml", c.kind, r.limits.MaxFuel)
	case errors.As(err, &trap) && trap.Reason == engine.StackOverflow:
		e.Errno, e.Text = abi.ErrnoLimit, fmt.Sprintf("%s recurses too deeply: its calls filled the host's stack of 8 MiB: use a loop, or recurse less", c.kind)
	case errors.As(err, &trap):
		e.Errno, e.Text = abi.ErrnoInternal, fmt.Sprintf("%s trapped: %s", c.kind, trap.Reason)
	default:
		or(&e.Errno, abi.ErrnoInternal)
		e.Text = err.Error()
	}
	attrs := []any{"event", c.kind.String(), "id", c.id, "errno", e.Errno.Kind(), "error", e.Text}
	if err != nil && err.Error() != e.Text {
		attrs = append(attrs, "trap", err)
	}
	r.log.Error("event failed", attrs...)
	return e
}
