package host_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/internal/testkit"
)

// The host functions by number, as in the guest's list.
const (
	rawInput = iota
	rawTake
	rawQuery
	rawBegin
	rawCommit
	rawRollback
	rawCachedQuery
	rawCacheClear
	rawBufferWrite
	rawBufferFlush
	rawSend
	rawBroadcast
	rawJoin
	rawLeave
	rawCount
	rawClose
	rawData
	rawFetch
)

// Whatever bytes a guest passes, to whichever functions and in whichever order: the host answers an errno and lives.
func FuzzHostFunctions(f *testing.F) {
	s := open(f, f.TempDir(), private)
	s.deploy(bundle(f, "hostile"))
	one := func(function byte, m interface {
		MarshalMsg([]byte) ([]byte, error)
	},
	) []byte {
		b, err := m.MarshalMsg(nil)
		if err != nil || len(b) > 255 {
			f.Fatal(err, len(b))
		}
		return append([]byte{function, byte(len(b))}, b...)
	}
	row := []abi.Values{{abi.Text("name")}}
	insert := one(rawQuery, &abi.Query{Verb: abi.VerbInsert, Table: "items", Fields: []string{"name"}, Rows: row})
	begin := one(rawBegin, &abi.Begin{})
	inTx := one(rawQuery, &abi.Query{Tx: 1, Verb: abi.VerbUpdate, Table: "items", Fields: []string{"name"}, Rows: row, Where: []abi.Cond{{Op: abi.CondEq, Column: "id", Values: abi.Values{abi.Int(1)}}}})
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	seeds := [][]byte{
		{},
		{rawInput, 0},
		{rawTake, 0},
		insert,
		one(rawQuery, &abi.Query{
			Table: "items", Columns: []abi.Column{{Name: "name"}, {Name: "id", Func: "count", As: "n"}}, Group: []string{"name"}, Order: []abi.Order{{Column: "name", Desc: true}},
			Having: []abi.Cond{{Op: abi.CondGt, Func: "count", Column: "id", Values: abi.Values{abi.Int(0)}}}, Limit: 3, Offset: 1,
		}),
		one(rawQuery, &abi.Query{Table: "items", As: "a", Joins: []abi.Join{{Kind: "left", Table: "items", As: "b", On: []abi.Cond{{Op: abi.CondEq, Column: "a.id", Other: "b.id"}}}}}),
		one(rawQuery, &abi.Query{Verb: abi.VerbDelete, Table: "items", Where: []abi.Cond{{Op: abi.CondIn, Column: "id", Values: abi.Values{abi.Int(1), abi.Int(2)}}, {Op: abi.CondNot}}}),
		one(rawQuery, &abi.Query{Verb: abi.VerbInsert, Table: "items", Fields: []string{"id", "name"}, Rows: []abi.Values{{abi.Int(1), abi.Null()}}, Conflict: &abi.Conflict{Columns: []string{"id"}, Update: []string{"name"}}, Returning: []string{"id"}}),
		join(begin, inTx, one(rawCommit, &abi.Tx{ID: 1}), inTx, one(rawRollback, &abi.Tx{ID: 1})),
		join(begin, insert, one(rawBufferFlush, &abi.Table{}), one(rawRollback, &abi.Tx{ID: 1})),
		join(one(rawBegin, &abi.Begin{ReadOnly: true}), inTx),
		one(rawCachedQuery, &abi.Query{Table: "items", TTL: 1000}),
		one(rawCacheClear, &abi.Table{Name: "items"}),
		join(one(rawBufferWrite, &abi.BufferWrite{Table: "items", Fields: []string{"name"}, Rows: row}), one(rawBufferFlush, &abi.Table{Name: "items"})),
		one(rawBufferWrite, &abi.BufferWrite{Table: "items", Op: abi.BufferIncrement, KeyColumns: []string{"id"}, Key: abi.Values{abi.Int(1)}, Increments: []abi.Delta{{Column: "id", By: abi.Int(1)}}}),
		one(rawBufferWrite, &abi.BufferWrite{Table: "items", Op: abi.BufferSet, Level: abi.DurabilityApplied, KeyColumns: []string{"id"}, Key: abi.Values{abi.Int(1)}, Fields: []string{"name"}, Rows: row}),
		one(rawBufferWrite, &abi.BufferWrite{Table: "items", Op: abi.BufferDelete, Level: abi.DurabilityMemory, KeyColumns: []string{"id"}, Key: abi.Values{abi.Text("1")}}),
		one(rawSend, &abi.SocketSend{ID: "x", Body: []byte("text")}),
		one(rawBroadcast, &abi.SocketSend{Room: "room", Body: []byte{0xff}, Binary: true, Except: []string{"x"}}),
		one(rawJoin, &abi.SocketRoom{ID: "x", Room: "room"}),
		one(rawLeave, &abi.SocketRoom{ID: "x", Room: "room"}),
		one(rawCount, &abi.SocketRoom{}),
		one(rawClose, &abi.SocketClose{ID: "x", Code: 1000, Reason: "bye"}),
		one(rawData, &abi.SocketData{ID: "x", Data: []byte("data")}),
		one(rawFetch, &abi.FetchRequest{Method: "GET", URL: "http://127.0.0.1:1/", Header: []string{"A", "b"}, Timeout: 1}),
		one(rawFetch, &abi.FetchRequest{Method: "G T", URL: "gopher://[::1%25]/", Header: []string{"A"}, Redirect: -1}),
		{rawQuery, 5, 0xdd, 0xff, 0xff, 0xff, 0xff},
		{rawQuery, 255},
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, calls []byte) {
		_, err := s.Call(testkit.Context(t), "", "hostile", "raw", calls)
		var plugin *host.PluginError
		var trap *engine.TrapError
		switch {
		case errors.As(err, &trap):
			t.Errorf("the guest or the host trapped: %v\n%s", trap, trap.Stack)
		case err != nil && !errors.As(err, &plugin):
			t.Errorf("not the plugin's error: %v", err)
		}
		if text := s.log.take(); strings.Contains(text, "panic") || strings.Contains(text, "host function failed") {
			t.Errorf("the host could not explain what happened:\n%s", text)
		}
		if p := s.Plugins()[0].Pool; p.InUse != 0 {
			t.Errorf("afterwards: %+v", p)
		}
	})
}
