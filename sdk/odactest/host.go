package odactest

import (
	"sync"

	"github.com/odac-run/odachost/abi"
	odac "github.com/odac-run/odachost/sdk"
	"github.com/odac-run/odachost/sdk/internal/wire"
)

// host answers the plugin's host calls.
type host struct {
	plugin *Plugin
	event  sync.Mutex // held while an event runs

	mu    sync.Mutex // guards what follows; never held while a test's function runs
	funcs map[string]func(req []byte) ([]byte, error)
	logs  []string
	hub   hub
}

func (h *host) init(p *Plugin) {
	h.plugin = p
	h.funcs = map[string]func([]byte) ([]byte, error){}
	h.hub.sockets = map[string]*Socket{}
	nothing := func([]byte) ([]byte, error) { return nil, nil }
	p.Handle(abi.ModuleDB, abi.FuncBegin, func([]byte) ([]byte, error) { return abi.Tx{ID: 1}.MarshalMsg(nil) })
	p.Handle(abi.ModuleDB, abi.FuncCommit, nothing)
	p.Handle(abi.ModuleDB, abi.FuncRollback, nothing)
	p.Handle(abi.ModuleCache, abi.FuncCacheClear, nothing)
	p.Handle(abi.ModuleDB, abi.FuncNotify, nothing)
	p.Handle(abi.ModuleBuffer, abi.FuncBufferFlush, nothing)
	h.playSockets()
}

// Handle answers a host function: module and function are those of package abi, the request is the function's message.
func (p *Plugin) Handle(module, function string, answer func(req []byte) ([]byte, error)) {
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	p.host.funcs[module+" "+function] = answer
}

// OnQuery answers queries, cached or not, in transactions, batches and streams too. One of SQL text has [abi.Query.SQL]. The
// rows of a stream come in pages of two.
func (p *Plugin) OnQuery(answer func(q abi.Query) (abi.Result, error)) {
	f := typed(func(q *abi.Query) (marshaler, error) {
		r, err := answer(*q)
		return &r, err
	})
	p.Handle(abi.ModuleDB, abi.FuncQuery, f)
	p.Handle(abi.ModuleCache, abi.FuncCachedQuery, f)
	p.Handle(abi.ModuleDB, abi.FuncBatch, typed(func(b *abi.Batch) (marshaler, error) {
		var all abi.BatchResult
		for _, q := range b.Queries {
			q.Conn, q.Tx = b.Conn, b.Tx
			r, err := answer(q)
			if err != nil {
				return nil, err
			}
			all.Results = append(all.Results, r)
		}
		return &all, nil
	}))
	p.playCursors(answer)
}

// playCursors answers a stream from the whole result.
func (p *Plugin) playCursors(answer func(q abi.Query) (abi.Result, error)) {
	var mu sync.Mutex
	var open []abi.Result
	p.Handle(abi.ModuleDB, abi.FuncOpen, typed(func(q *abi.Query) (marshaler, error) {
		r, err := answer(*q)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		open = append(open, r)
		return &abi.Cursor{ID: uint32(len(open))}, nil
	}))
	p.Handle(abi.ModuleDB, abi.FuncNext, typed(func(c *abi.Cursor) (marshaler, error) {
		mu.Lock()
		defer mu.Unlock()
		if c.ID == 0 || int(c.ID) > len(open) {
			return nil, abi.NewError(abi.ErrnoClosed, "odactest: no such cursor")
		}
		r := &open[c.ID-1]
		n := min(2, len(r.Rows))
		page := &abi.Page{Columns: r.Columns, Rows: r.Rows[:n], Done: n == len(r.Rows)}
		r.Rows = r.Rows[n:]
		return page, nil
	}))
	p.Handle(abi.ModuleDB, abi.FuncFree, func([]byte) ([]byte, error) { return nil, nil })
}

// OnWrite answers buffered writes.
func (p *Plugin) OnWrite(answer func(w abi.BufferWrite) (abi.Result, error)) {
	p.Handle(abi.ModuleBuffer, abi.FuncBufferWrite, typed(func(w *abi.BufferWrite) (marshaler, error) {
		r, err := answer(*w)
		return &r, err
	}))
}

// OnNotify takes notifications; without it they are forgotten.
func (p *Plugin) OnNotify(take func(n abi.Notify) error) {
	p.Handle(abi.ModuleDB, abi.FuncNotify, typed(func(n *abi.Notify) (marshaler, error) { return nil, take(*n) }))
}

// OnFetch answers outbound requests.
func (p *Plugin) OnFetch(answer func(r abi.FetchRequest) (abi.FetchResponse, error)) {
	p.Handle(abi.ModuleHTTP, abi.FuncFetch, typed(func(r *abi.FetchRequest) (marshaler, error) {
		resp, err := answer(*r)
		return &resp, err
	}))
}

// typed decodes a function's request and encodes its answer.
func typed[T any, P interface {
	*T
	unmarshaler
}](answer func(req *T) (marshaler, error),
) func([]byte) ([]byte, error) {
	return func(msg []byte) ([]byte, error) {
		var req T
		if _, err := P(&req).UnmarshalMsg(msg); err != nil {
			return nil, err
		}
		resp, err := answer(&req)
		if err != nil || resp == nil {
			return nil, err
		}
		return resp.MarshalMsg(nil)
	}
}

// Call implements wire.Host.
func (h *host) Call(module, function string, req []byte) ([]byte, abi.Errno) {
	h.mu.Lock()
	answer := h.funcs[module+" "+function]
	h.mu.Unlock()
	if answer == nil {
		return []byte("odactest: nothing was said about " + module + "." + function + ": call Plugin.Handle, or OnQuery, OnWrite, OnFetch"), abi.ErrnoDenied
	}
	resp, err := answer(req)
	if err != nil {
		errno, text := errnoOf(err)
		return text, errno
	}
	return resp, abi.ErrnoOK
}

// Config implements wire.Host.
func (h *host) Config(key string) (string, bool) {
	v, ok := h.plugin.Config[key]
	return v, ok
}

// Log implements wire.Host.
func (h *host) Log(level wire.LogLevel, line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := [...]string{"trace", "debug", "info", "warn", "error"}[level]
	h.logs = append(h.logs, name+" "+line)
}

// Table is a result in the making.
type Table struct {
	result abi.Result
	err    error
}

// Rows begins a result with these columns.
func Rows(columns ...string) *Table { return &Table{result: abi.Result{Columns: columns}} }

// Add adds a row: a value for each column, of the types that [abi.Of] takes.
func (t *Table) Add(values ...any) *Table {
	row := make(abi.Values, len(values))
	for i, x := range values {
		v, err := abi.Of(x)
		if err != nil {
			t.err = &odac.Error{Kind: odac.Invalid, Err: err}
		}
		row[i] = v
	}
	t.result.Rows = append(t.result.Rows, row)
	return t
}

// Result is the result, as functions for [Plugin.OnQuery] return it.
func (t *Table) Result() (abi.Result, error) { return t.result, t.err }
