package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// WASI is the module of WASI preview 1, which is always linked.
const WASI = wasi_snapshot_preview1.ModuleName

const wasiModule = WASI

// Numbers of WASI preview 1.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoNotsup  = 58

	eventClock = 0
)

const (
	// maxLine is where a line of output is cut.
	maxLine = 16 << 10
	// maxVectors and maxSubscriptions bound what one call of the guest can ask for.
	maxVectors       = 1024
	maxSubscriptions = 1024
	// randomChunk is how much is read from the system between two looks at the deadline.
	randomChunk = 64 << 10
)

// linkWASI offers WASI preview 1 as wazero implements it, without files, and with these functions of our own: those that
// could keep the host busy beyond a deadline, and those that would leave something behind in an instance's descriptors.
func (p *Program) linkWASI(ctx context.Context) error {
	b := p.runtime.NewHostModuleBuilder(wasiModule)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	i32 := I32
	own := func(name string, params []ValueType, f func(c *Call, stack []uint64) uint32) {
		call := func(ctx context.Context, m api.Module, stack []uint64) {
			c := ctx.(callContext).Call
			c.caller(m)
			c.inHost = true
			errno := f(c, stack)
			c.inHost = false
			c.stop()
			stack[0] = uint64(errno)
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(call), params, []ValueType{i32}).Export(name)
	}
	own("fd_write", []ValueType{i32, i32, i32, i32}, (*Call).fdWrite)
	if len(p.cfg.Files) == 0 { // else an instance is not restored, and may leave behind what it likes
		own("fd_close", []ValueType{i32}, func(_ *Call, s []uint64) uint32 { return stdio(s[0]) })
		own("fd_renumber", []ValueType{i32, i32}, func(*Call, []uint64) uint32 { return errnoNotsup })
		own("fd_fdstat_set_flags", []ValueType{i32, i32}, func(_ *Call, s []uint64) uint32 { return stdio(s[0]) })
	}
	own("random_get", []ValueType{i32, i32}, (*Call).randomGet)
	own("poll_oneoff", []ValueType{i32, i32, i32, i32}, (*Call).pollOneoff)
	exit := func(_ context.Context, _ api.Module, stack []uint64) {
		panic(&ending{&ExitError{Code: uint32(stack[0])}})
	}
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(exit), []ValueType{i32}, nil).Export("proc_exit")
	code, err := b.Compile(ctx)
	if err != nil {
		return fmt.Errorf("engine: host module %s: %w", wasiModule, err)
	}
	p.wasi = code
	if _, err := p.runtime.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName(wasiModule)); err != nil {
		return fmt.Errorf("engine: host module %s: %w", wasiModule, err)
	}
	return nil
}

// stdio answers for operations on descriptors that have no effect here: the three that are open stay open.
func stdio(fd uint64) uint32 {
	if uint32(fd) > 2 {
		return errnoBadf
	}
	return errnoSuccess
}

// randomGet fills guest memory with random bytes: (buf, len).
func (c *Call) randomGet(stack []uint64) uint32 {
	p, ok := c.Read(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		return errnoFault
	}
	for len(p) > 0 {
		n := min(len(p), randomChunk)
		_, _ = rand.Read(p[:n]) // never fails
		p = p[n:]
		c.stop()
	}
	return errnoSuccess
}

// fdWrite hands the lines written to stdout and stderr on: (fd, iovs, iovs_len, nwritten).
func (c *Call) fdWrite(stack []uint64) uint32 {
	fd := uint32(stack[0])
	if fd != 1 && fd != 2 {
		return errnoBadf
	}
	count := uint32(stack[2])
	if count > maxVectors {
		return errnoInval
	}
	vectors, ok := c.Read(uint32(stack[1]), count*8)
	if !ok {
		return errnoFault
	}
	written := uint32(0)
	for ; len(vectors) > 0; vectors = vectors[8:] {
		p, ok := c.Read(binary.LittleEndian.Uint32(vectors), binary.LittleEndian.Uint32(vectors[4:]))
		if !ok {
			return errnoFault
		}
		// Short writes are allowed: a guest that writes more is called again, and looked at in between.
		p = p[:min(len(p), 4*maxLine)]
		c.writeLines(int(fd-1), p)
		written += uint32(len(p))
		if len(p) == 4*maxLine {
			break
		}
	}
	if !c.writeU32(uint32(stack[3]), written) {
		return errnoFault
	}
	return errnoSuccess
}

func (c *Call) writeU32(ptr, v uint32) bool {
	return c.Write(ptr, binary.LittleEndian.AppendUint32(nil, v))
}

// pollOneoff waits for the earliest of the clocks: (in, out, nsubscriptions, nevents). Descriptors are never ready.
func (c *Call) pollOneoff(stack []uint64) uint32 {
	count := uint32(stack[2])
	if count == 0 || count > maxSubscriptions {
		return errnoInval
	}
	in, ok := c.Read(uint32(stack[0]), count*48)
	if !ok {
		return errnoFault
	}
	out, ok := c.Read(uint32(stack[1]), count*32)
	if !ok {
		return errnoFault
	}
	events, wait, found := make([]byte, 0, 32), time.Duration(0), false
	for ; len(in) > 0; in = in[48:] {
		var event [32]byte
		copy(event[:8], in)
		event[10] = in[8]
		if in[8] != eventClock {
			event[8] = errnoNotsup
			events = append(events, event[:]...)
			continue
		}
		d, ok := clockWait(in)
		if !ok {
			return errnoInval
		}
		if !found || d < wait {
			wait, found = d, true
		}
		events = append(events, event[:]...)
	}
	c.sleep(wait)
	copy(out, events)
	if !c.writeU32(uint32(stack[3]), count) {
		return errnoFault
	}
	return errnoSuccess
}

// clockWait reads how long a subscription to a clock wants to wait.
func clockWait(sub []byte) (time.Duration, bool) {
	id := binary.LittleEndian.Uint32(sub[16:])
	timeout := binary.LittleEndian.Uint64(sub[24:])
	if timeout > 1<<62 {
		timeout = 1 << 62
	}
	switch absolute := binary.LittleEndian.Uint16(sub[40:])&1 != 0; {
	case !absolute:
		return time.Duration(timeout), true
	case id == 0: // realtime
		return time.Until(time.Unix(0, int64(timeout))), true
	default:
		// The monotonic clock's origin is wazero's own.
		return 0, false
	}
}

// lineBuffer collects a line that the guest has not finished.
type lineBuffer struct {
	partial []byte
	// cut says that the line was cut and the rest of it is to be thrown away.
	cut bool
}

func (c *Call) sink(stream int) func(*Call, []byte) {
	if stream == 0 {
		return c.instance.program.cfg.Stdout
	}
	return c.instance.program.cfg.Stderr
}

func (c *Call) writeLines(stream int, p []byte) {
	sink := c.sink(stream)
	if sink == nil {
		return
	}
	b := &c.lines[stream]
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		p = rest
		if !b.cut {
			line = line[:min(len(line), maxLine-len(b.partial))]
			b.partial = append(b.partial, line...)
		}
		if ended || len(b.partial) >= maxLine {
			if !b.cut {
				sink(c, b.partial)
			}
			b.partial = b.partial[:0]
			b.cut = !ended
		}
	}
}

// flushLines hands on what the call left unfinished.
func (c *Call) flushLines() {
	for i := range c.lines {
		b := &c.lines[i]
		if len(b.partial) > 0 {
			c.sink(i)(c, b.partial)
		}
		b.partial, b.cut = b.partial[:0], false
	}
}
