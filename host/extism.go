package host

import (
	"encoding/binary"
	"log/slog"

	"github.com/odac-run/odachost/host/internal/engine"
)

// The part of extism:host/env that the Go SDK uses: memory blocks outside the guest, the plugin's configuration, its
// log. Blocks live as long as the call.

// extismBase is the first offset handed out: 0 means "none" in Extism's convention.
const extismBase = 8

// extismLimit is the most bytes of blocks that one call may hold.
const extismLimit = 4 << 20

// blocks is one call's block memory: offsets grow, nothing moves, free is a no-op until the call ends.
type blocks struct {
	data    []byte
	lengths map[uint64]uint64
}

func (b *blocks) reset() {
	clear(b.data)
	b.data = b.data[:0]
	clear(b.lengths)
}

func (b *blocks) alloc(n uint64) uint64 {
	if n == 0 || n > extismLimit || uint64(len(b.data))+n > extismLimit {
		return 0
	}
	off := uint64(len(b.data)) + extismBase
	if need := len(b.data) + int(n+7)&^7; need <= cap(b.data) {
		b.data = b.data[:need]
	} else {
		b.data = append(b.data, make([]byte, need-len(b.data))...)
	}
	if b.lengths == nil {
		b.lengths = make(map[uint64]uint64)
	}
	b.lengths[off] = n
	return off
}

func (b *blocks) put(s string) uint64 {
	off := b.alloc(uint64(len(s)))
	if off != 0 {
		copy(b.data[off-extismBase:], s)
	}
	return off
}

// view is n bytes at an offset, nil when they are not all there.
func (b *blocks) view(off, n uint64) []byte {
	if off < extismBase || off-extismBase > uint64(len(b.data)) || n > uint64(len(b.data))-(off-extismBase) {
		return nil
	}
	return b.data[off-extismBase:][:n:n]
}

// block is the whole block at an offset.
func (b *blocks) block(off uint64) []byte { return b.view(off, b.lengths[off]) }

func extismModule(name string) engine.Module {
	i32, i64 := engine.I32, engine.I64
	fn := func(name string, params, results []engine.ValueType, f func(c *call, stack []uint64)) engine.Func {
		return engine.Func{Name: name, Params: params, Results: results, Call: func(ec *engine.Call, stack []uint64) {
			f(ec.Data.(*call), stack)
		}}
	}
	one := []engine.ValueType{i64}
	logAt := func(name string, level slog.Level) engine.Func {
		return fn(name, one, nil, func(c *call, stack []uint64) {
			c.log(level, string(c.blocks.block(stack[0])))
		})
	}
	length := func(c *call, stack []uint64) { stack[0] = c.blocks.lengths[stack[0]] }
	return engine.Module{Name: name, Funcs: []engine.Func{
		fn("alloc", one, one, func(c *call, stack []uint64) { stack[0] = c.blocks.alloc(stack[0]) }),
		fn("free", one, nil, func(*call, []uint64) {}),
		fn("length", one, one, length),
		fn("length_unsafe", one, one, length),
		fn("load_u8", one, []engine.ValueType{i32}, func(c *call, stack []uint64) {
			v := c.blocks.view(stack[0], 1)
			stack[0] = 0
			if v != nil {
				stack[0] = uint64(v[0])
			}
		}),
		fn("load_u64", one, one, func(c *call, stack []uint64) {
			v := c.blocks.view(stack[0], 8)
			stack[0] = 0
			if v != nil {
				stack[0] = binary.LittleEndian.Uint64(v)
			}
		}),
		fn("store_u8", []engine.ValueType{i64, i32}, nil, func(c *call, stack []uint64) {
			if v := c.blocks.view(stack[0], 1); v != nil {
				v[0] = byte(stack[1])
			}
		}),
		fn("store_u64", []engine.ValueType{i64, i64}, nil, func(c *call, stack []uint64) {
			if v := c.blocks.view(stack[0], 8); v != nil {
				binary.LittleEndian.PutUint64(v, stack[1])
			}
		}),
		fn("config_get", one, one, func(c *call, stack []uint64) {
			value, ok := c.rev.config[string(c.blocks.block(stack[0]))]
			stack[0] = 0
			if ok {
				stack[0] = c.blocks.put(value)
			}
		}),
		logAt("log_trace", slog.LevelDebug-4),
		logAt("log_debug", slog.LevelDebug),
		logAt("log_info", slog.LevelInfo),
		logAt("log_warn", slog.LevelWarn),
		logAt("log_error", slog.LevelError),
		fn("get_log_level", nil, []engine.ValueType{i32}, func(_ *call, stack []uint64) { stack[0] = 1 }),
	}}
}
