package host

import (
	"context"
	"log/slog"
	"sync"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
)

// call is the state of one event while a guest handles it: its input and reply, what it may still use, and what it
// holds open. It is used by one goroutine at a time.
type call struct {
	ec     *engine.Call // while a host function runs
	rev    *revision
	kind   abi.EventKind
	id     string // request or socket id, for logs
	input  []byte // the event's message
	output []byte // the reply's message
	kept   []byte // an answer that did not fit, for take
	blocks blocks // extism memory

	starting bool // _initialize runs

	hostCalls, requests, logLines int64 // used so far

	txs []*openTx // index is id - 1; nil once closed
}

var calls = sync.Pool{New: func() any { return new(call) }}

// keepBytes is the largest buffer that stays with a pooled call.
const keepBytes = 64 << 10

func newCall(rev *revision, kind abi.EventKind, id string) *call {
	c := calls.Get().(*call)
	c.rev, c.kind, c.id = rev, kind, id
	return c
}

// end rolls back what the call left open and gives its memory back. A reply must be decoded before.
func (c *call) end() {
	for _, tx := range c.txs {
		if tx != nil {
			_ = tx.Rollback()
		}
	}
	clear(c.txs)
	c.blocks.reset()
	*c = call{input: small(c.input), output: small(c.output), blocks: c.blocks, txs: c.txs[:0]}
	if cap(c.blocks.data) > keepBytes {
		c.blocks = blocks{}
	}
	calls.Put(c)
}

// context ends at the call's deadline, or when its caller goes away. Only host functions may ask for it.
func (c *call) context() context.Context { return c.ec.Context() }

func small(b []byte) []byte {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}

// log writes one line of the guest's, within its budget.
func (c *call) log(level slog.Level, text string) {
	c.logLines++
	if c.logLines > c.rev.limits.MaxLogLines {
		if c.logLines == c.rev.limits.MaxLogLines+1 {
			c.rev.log.Warn("further log lines of this call are dropped: raise limits.log_lines in plugin.yaml", "id", c.id)
		}
		return
	}
	if len(text) > abi.MaxTextBytes {
		text = text[:abi.MaxTextBytes] + "..."
	}
	c.rev.log.Log(context.Background(), level, text, "id", c.id, "event", c.kind.String())
}
