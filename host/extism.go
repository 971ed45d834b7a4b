package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/host/internal/kernel"
	"github.com/odac-run/odachost/plugins"
)

// extism:host/env, for plugins made with an Extism PDK, and for the SDK, which logs and reads its configuration by it. Blocks,
// input, output and error are the kernel's, WebAssembly; here is what needs the host. A function that cannot do what it
// was asked ends the call with an error, as Extism does: its convention has no errno.

// extismEnv is the host module that the kernel takes its other functions from, and offers as extism:host/env.
const extismEnv = "odac:extism/v1"

// maxBlockBytes is the most that the blocks of one instance may hold, within limits.memory.
const maxBlockBytes = 256 << 20

// extismFunc is one function: the handles of its blocks in, a handle or a number out.
type extismFunc func(c *call, b kernel.Blocks, args []uint64) (uint64, error)

// extismHost is the module and the kernel that is linked to it.
func (r *revision) extismHost() (engine.Module, engine.Linked) {
	i32, i64 := engine.I32, engine.I64
	one, two := []engine.ValueType{i64}, []engine.ValueType{i64, i64}
	m := engine.Module{Name: extismEnv}
	add := func(name string, params, results []engine.ValueType, f extismFunc) {
		m.Funcs = append(m.Funcs, engine.Func{Name: name, Params: params, Results: results, Call: extismCall(abi.ModuleExtism+"."+name, f)})
	}
	add("config_get", one, one, extismConfig)
	add("var_get", one, one, varGet)
	add("var_set", two, nil, varSet)
	add("http_request", two, one, httpRequest)
	add("http_status_code", nil, []engine.ValueType{i32}, func(c *call, _ kernel.Blocks, _ []uint64) (uint64, error) {
		return uint64(c.extism.status), nil
	})
	add("http_headers", nil, one, httpHeaders)
	for name, level := range logLevels {
		add("log_"+name, one, nil, func(c *call, b kernel.Blocks, args []uint64) (uint64, error) {
			return extismLog(c, b, args[0], name, level)
		})
	}
	add("get_log_level", nil, []engine.ValueType{i32}, func(c *call, _ kernel.Blocks, _ []uint64) (uint64, error) {
		return uint64(c.rev.logLevel()), nil
	})
	return m, kernel.Linked(abi.ModuleExtism, m, min(r.limits.MemoryBytes, maxBlockBytes))
}

// extismCall gives a function the call and the blocks, and makes its error the end of the guest.
func extismCall(name string, f extismFunc) func(*engine.Call, []uint64) {
	return func(ec *engine.Call, stack []uint64) {
		c := ec.Data.(*call)
		c.ec = ec
		b, ok := kernel.Of(ec, abi.ModuleExtism)
		if !ok { // it was imported past the kernel
			ec.End(invalid("%s: import it from %s", name, abi.ModuleExtism))
		}
		result, err := f(c, b, stack)
		if err != nil {
			ec.End(fmt.Errorf("%s: %w", name, err))
		}
		if len(stack) > 0 {
			stack[0] = result
		}
	}
}

// text is a block's bytes as a string.
func text(b kernel.Blocks, handle uint64, what string) (string, error) {
	p, ok := b.Block(handle)
	if !ok {
		return "", invalid("the %s's handle %d is no block", what, handle)
	}
	return string(p), nil
}

// put is a block of p: its handle, 0 for nothing.
func put(b kernel.Blocks, p []byte) (uint64, error) {
	handle := b.Put(p)
	if handle == 0 && len(p) > 0 {
		return 0, abi.NewError(abi.ErrnoLimit, "the call's blocks hold more than limits.memory of plugin.yaml allows")
	}
	return handle, nil
}

func extismConfig(c *call, b kernel.Blocks, args []uint64) (uint64, error) {
	key, err := text(b, args[0], "key")
	if err != nil {
		return 0, err
	}
	return put(b, []byte(c.rev.config[key]))
}

// logLevels are Extism's names and ours.
var logLevels = map[string]slog.Level{
	"trace": slog.LevelDebug - 4, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// levelNumbers are Extism's numbers of levels.
var levelNumbers = map[string]int32{"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4, "off": 1<<31 - 1}

// logLevel is the number of the least severe level that is logged.
func (r *revision) logLevel() int32 {
	if x := r.manifest.Extism; x != nil {
		return levelNumbers[x.Log]
	}
	return levelNumbers["debug"]
}

func extismLog(c *call, b kernel.Blocks, handle uint64, name string, level slog.Level) (uint64, error) {
	if levelNumbers[name] < c.rev.logLevel() {
		return 0, nil
	}
	line, err := text(b, handle, "log line")
	if err == nil {
		c.log(level, line)
	}
	return 0, err
}

// variables are what an Extism plugin keeps from call to call: they belong to the deployment, so that all instances see them
// and a swap keeps them, and live in the host's memory.
type variables struct {
	mu     sync.Mutex
	values map[string][]byte
	bytes  int64
}

// variableBytes is what a variable counts beside its name and value, as in Extism.
const variableBytes = 40

func (v *variables) get(name string) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.values[name] // never changed, only replaced
}

// set replaces a value; nil removes it. False if all would then hold more than max bytes.
func (v *variables) set(name string, value []byte, limit int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	total := v.bytes
	if old, ok := v.values[name]; ok {
		total -= int64(len(name)+len(old)) + variableBytes
	}
	if value == nil {
		delete(v.values, name)
		v.bytes = total
		return true
	}
	if total += int64(len(name)+len(value)) + variableBytes; total > limit {
		return false
	}
	if v.values == nil {
		v.values = make(map[string][]byte)
	}
	v.values[name], v.bytes = value, total
	return true
}

func varGet(c *call, b kernel.Blocks, args []uint64) (uint64, error) {
	name, err := text(b, args[0], "variable name")
	if err != nil {
		return 0, err
	}
	return put(b, c.rev.dep.vars.get(name))
}

func varSet(c *call, b kernel.Blocks, args []uint64) (uint64, error) {
	if c.starting {
		return 0, abi.NewError(abi.ErrnoUnavailable, "variables can be set from the first call on, not at start-up")
	}
	name, err := text(b, args[0], "variable name")
	if err != nil {
		return 0, err
	}
	var value []byte
	if args[1] != 0 {
		p, ok := b.Block(args[1])
		if !ok {
			return 0, invalid("the value's handle %d is no block", args[1])
		}
		if int64(len(p)) <= c.rev.limits.VarBytes {
			value = append([]byte{}, p...)
		}
	}
	if value == nil && args[1] != 0 || !c.rev.dep.vars.set(name, value, c.rev.limits.VarBytes) {
		return 0, abi.NewError(abi.ErrnoLimit, "Variable store is full: raise limits.vars in plugin.yaml")
	}
	return 0, nil
}

// extismState is what a call of an Extism plugin holds beside its blocks.
type extismState struct {
	status  int
	headers map[string]string
	failed  string // what the guest set by error_set
}

// beginExtism gives the guest its input before a call.
func beginExtism(ec *engine.Call) {
	c, ok := ec.Data.(*call)
	if !ok || c.rev.manifest.Extism == nil {
		return
	}
	if b, ok := kernel.Of(ec, abi.ModuleExtism); ok {
		c.extism.failed = ""
		if !b.SetInput(c.input) {
			c.extism.failed = "the input is larger than limits.memory of plugin.yaml allows"
		}
	}
}

// endExtism takes what the guest set as its output and error after a call.
func endExtism(ec *engine.Call) {
	c, ok := ec.Data.(*call)
	if !ok || c.rev.manifest.Extism == nil {
		return
	}
	if b, ok := kernel.Of(ec, abi.ModuleExtism); ok {
		if c.extism.failed == "" {
			c.extism.failed = b.Failure()
		}
		output := b.Output()
		if len(output) > abi.MaxMessageBytes && c.extism.failed == "" {
			c.extism.failed = "the output is over 16 MiB: answer less at a time"
		}
		c.output = append(c.output[:0], output[:min(len(output), abi.MaxMessageBytes)]...)
	}
}

// export calls an export of an Extism plugin and gives its output to use, which must not keep it. Errors are those of event; a
// *[PluginError] has the text that the plugin set and the code that it returned.
func (r *revision) export(ctx context.Context, kind abi.EventKind, id, name string, input []byte, use func([]byte) error) error {
	guest, instance, err := r.acquire(ctx, false)
	if err != nil {
		if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrClosed) && ctx.Err() == nil {
			r.log.Error("no instance", "event", kind.String(), "id", id, "error", err)
		}
		return err
	}
	c := newCall(r, kind, id)
	defer c.end()
	c.input = append(c.input[:0], input...)
	r.stat.events.Add(1)
	code, err := r.run(ctx, instance.Instance, c, name)
	guest.pool.Release(instance, err != nil)
	var exit *engine.ExitError
	if errors.As(err, &exit) { // it ended itself
		code, err = abi.Errno(exit.Code), nil
	}
	if err == nil && code == 0 && c.extism.failed == "" {
		return use(c.output)
	}
	r.stat.failures.Add(1)
	return r.exportFailure(c, name, uint32(code), err)
}

func (r *revision) exportFailure(c *call, name string, code uint32, err error) error {
	c.output = append(c.output[:0], c.extism.failed...)
	if err == nil && c.extism.failed == "" {
		c.output = fmt.Appendf(c.output, "%s returned non-zero exit code: %d", name, code)
	}
	errno := abi.ErrnoInternal
	var failure *PluginError
	var missing *engine.ExportError
	var known *abi.Error
	switch {
	case errors.As(err, &missing):
		errno, err = abi.ErrnoNotFound, fmt.Errorf("unknown function: %s: %s", name, missing.Reason)
	case errors.As(err, &known):
		errno = known.Errno
	}
	e := r.failure(c, errno, err)
	if errors.As(e, &failure) {
		failure.Code = code
	}
	return e
}

// extismModules are the bundle's linked modules.
func extismModules(b *plugins.Bundle) []engine.Linked {
	var linked []engine.Linked
	for _, m := range b.Modules() {
		linked = append(linked, engine.Linked{Name: m.Name, Wasm: m.Wasm})
	}
	return linked
}

// extismMounts are the bundle's files that the plugin may read.
func extismMounts(b *plugins.Bundle) []engine.Files {
	var files []engine.Files
	for _, f := range b.Files() {
		files = append(files, engine.Files{Path: f.Path, FS: f.FS})
	}
	return files
}
