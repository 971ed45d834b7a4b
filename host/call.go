package host

import (
	"context"
	"log/slog"
	"sync"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/internal/database"
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

	spare    []byte // memory of an answer that was taken, for the next: see room
	roomy    bool   // the answer of the host function that runs is in room's
	keptRoom bool   // kept was in room's

	extism extismState

	starting bool // _initialize runs

	asked abi.Query // memory for the query that runs, see blank

	hostCalls, requests, logLines int64 // used so far

	txs     []*openTx          // index is id - 1; nil once closed
	cursors []*database.Cursor // likewise
}

var calls = sync.Pool{New: func() any { return new(call) }}

const (
	// keepBytes is the largest message that stays with a pooled call.
	keepBytes = 64 << 10
	// keepAnswer is the same for an answer of a database. Those that read much do so again, and to grow an answer step by step takes as
	// long as to read it.
	keepAnswer = 1 << 20
)

// room is where an answer is appended that may be large and is kept by nobody: resp, or larger memory of the host's that is at hand.
func (c *call) room(resp []byte) []byte {
	c.roomy = true
	if cap(c.spare) > cap(resp) {
		return c.spare[:0]
	}
	return resp
}

// keepItems is how many columns and conditions of a query stay with a pooled call.
const keepItems = 16

// blank is a query to decode into, with room for columns and conditions, which nobody keeps once the query has run. Nothing of the last query, which was
// another tenant's maybe, is left in it.
func (c *call) blank() *abi.Query {
	columns, where := c.lists()
	c.asked = abi.Query{Columns: columns, Where: where}
	return &c.asked
}

// lists are those of the last query, cleared.
func (c *call) lists() ([]abi.Column, []abi.Cond) {
	columns, where := c.asked.Columns[:0], c.asked.Where[:0]
	if cap(columns) > keepItems {
		columns = nil
	}
	if cap(where) > keepItems {
		where = nil
	}
	clear(columns[:cap(columns)])
	clear(where[:cap(where)])
	return columns, where
}

func newCall(rev *revision, kind abi.EventKind, id string) *call {
	c := calls.Get().(*call)
	c.rev, c.kind, c.id = rev, kind, id
	return c
}

// end rolls back what the call left open and gives its memory back. A reply must be decoded before.
func (c *call) end() {
	for _, cursor := range c.cursors {
		if cursor != nil {
			cursor.Close()
		}
	}
	clear(c.cursors)
	for _, tx := range c.txs {
		if tx != nil {
			_ = tx.Rollback()
		}
	}
	clear(c.txs)
	spare := c.spare
	if cap(spare) > keepAnswer {
		spare = nil
	}
	columns, where := c.lists()
	*c = call{
		input: small(c.input), output: small(c.output), spare: spare, asked: abi.Query{Columns: columns, Where: where},
		txs: c.txs[:0], cursors: c.cursors[:0],
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
