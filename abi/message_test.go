package abi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tinylib/msgp/msgp"

	"github.com/odac-run/odachost/abi/msgpack"
	"github.com/odac-run/odachost/internal/testkit"
)

type message interface {
	MarshalMsg(b []byte) ([]byte, error)
	UnmarshalMsg(b []byte) ([]byte, error)
	Msgsize() int
}

var instant = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// samples has one of each message, every field set. Their bytes are the contract: see testdata/messages.txt.
func samples() []message {
	values := Values{Null(), Bool(true), Int(-1), Float(1.5), Text("ä"), Bytes([]byte{0, 255}), Decimal("12.50"), JSON(`{"a":[1]}`), Time(instant)}
	conds := []Cond{
		{Op: CondEq, Column: "a", Values: Values{Int(7)}},
		{Op: CondGt, Column: "views", Func: "sum", Other: "b"},
		{Op: CondOr, N: 2},
	}
	return []message{
		&HTTPRequest{
			Route: 3, Method: "POST", Path: "/posts/7", Query: "a=b", Params: []string{"7"}, Header: []string{"Accept", "*/*"},
			Body: []byte("body"), Host: "example.org", Scheme: "https", Remote: "192.0.2.1", ID: "r1",
		},
		&HTTPResponse{Status: 201, Header: []string{"Content-Type", "text/plain"}, Body: []byte("ok")},
		&SocketEvent{
			Route: 1, ID: "s1", Params: []string{"lobby"}, Query: "n=1", Data: []byte{1}, Header: []string{"Origin", "x"}, Remote: "192.0.2.1",
			Binary: true, Body: []byte("hi"), Code: 1001, Reason: "away",
		},
		&ScheduleEvent{Name: "prune", Unix: 1_800_000_000},
		&CallEvent{Name: "stats", Body: []byte("in")},
		&Notification{Conn: "analytics", Channel: "orders", Payload: "42"},
		&Notify{Conn: "analytics", Tx: 3, Channel: "orders", Payload: "42"},
		&CallReply{Body: []byte("out")},
		&Hello{ABI: 1, Host: "0.1.0", Features: []string{"a"}, Plugin: "board", Version: "1.0.0", Tenant: "t", Mount: "/blog"},
		&Registration{
			ABI: 1, SDK: "odac-go 0.1.0", Routes: []Route{{Method: "GET", Pattern: "/{$}"}},
			Sockets:   []Socket{{Pattern: "/live", Upgrade: true, Subprotocols: []string{"v1"}, Origins: []string{"*"}}},
			Schedules: []Schedule{{Name: "p", Every: 1000}, {Name: "c", Cron: "0 3 * * *"}}, Calls: []string{"stats"},
		},
		&Registration{
			ABI: 1, SDK: "x", Routes: []Route{{Pattern: "/"}}, Sockets: []Socket{{Pattern: "/"}}, Schedules: []Schedule{{Name: "p", Every: 1000}}, Calls: []string{"c"},
			Channels: []Channel{{Conn: "analytics", Name: "orders"}},
		},
		&Query{
			Conn: "analytics", Tx: 2, Verb: VerbSelect, Table: "posts", As: "p", Columns: []Column{{Name: "*", Func: "count", As: "n"}}, Distinct: true,
			Joins: []Join{{Kind: "left", Table: "authors", As: "a", On: conds[:1]}}, Group: []string{"a"}, Having: conds, Order: []Order{{Column: "a", Desc: true}},
			Limit: 10, Offset: 20, Where: conds, TTL: 1500,
		},
		&Query{
			Verb: VerbInsert, Table: "posts", Fields: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, Rows: []Values{values},
			Increments: []Delta{{Column: "n", By: Decimal("-0.1")}}, Conflict: &Conflict{Columns: []string{"a"}, Update: []string{"b"}}, Returning: []string{"id"},
		},
		&Query{
			Verb: VerbSelect, From: 1, As: "r", Columns: []Column{{Sub: 2, As: "n"}, {Name: "a", Func: "count", Distinct: true}}, Joins: []Join{{From: 3, As: "x", On: conds[:1]}},
			Where: []Cond{{Op: CondExists, Sub: 4}, {Op: CondIn, Column: "a", Sub: 5}}, After: Values{Int(7), Text("x")}, Order: []Order{{Column: "a"}, {Column: "b"}},
			Unions: []Union{{Sub: 6, All: true}}, Lock: LockShare, Wait: WaitSkip,
			Subs: []Select{
				{
					Name: "tree", Recursive: true, Table: "t", As: "x", Columns: []Column{{Name: "a"}}, Distinct: true, Joins: []Join{{Kind: "cross", Table: "u"}},
					Where: conds, Group: []string{"a"}, Having: conds, Order: []Order{{Column: "a", Desc: true}}, Limit: 1, Offset: 2, Unions: []Union{{Sub: 2}},
				},
				{From: 1},
			},
		},
		&Query{Verb: VerbDelete, Table: "t", Truncate: true},
		&Query{Verb: VerbInsert, Table: "t", Fields: []string{"n"}, Rows: []Values{{Int(1)}}, Conflict: &Conflict{Columns: []string{"a"}, Add: []string{"n"}}},
		&Query{Conn: "analytics", SQL: "select :a", Args: Values{Int(1)}, Names: []string{"a"}},
		&Result{Columns: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}, Rows: []Values{values}, Affected: 1, LastID: Text("id"), Cached: true},
		&Begin{Conn: "analytics", ReadOnly: true},
		&Begin{Conn: "analytics", ReadOnly: true, Isolation: IsolationSerializable, Parent: 3},
		&Batch{Conn: "analytics", Tx: 3, Queries: []Query{{Verb: VerbDelete, Table: "t", Where: conds}, {SQL: "select 1"}}},
		&BatchResult{Results: []Result{{Affected: 1}, {Columns: []string{"a"}, Rows: []Values{{Int(1)}}}}},
		&Cursor{ID: 2, Rows: 100},
		&Page{Columns: []string{"a"}, Rows: []Values{{Int(1)}}, Done: true},
		&Tx{ID: 5},
		&Table{Conn: "analytics", Name: "posts"},
		&BufferWrite{
			Conn: "analytics", Table: "posts", Op: BufferIncrement, Level: DurabilityApplied, KeyColumns: []string{"id"}, Key: Values{Text("x")},
			Fields: []string{"a"}, Rows: []Values{{Int(1)}}, Increments: []Delta{{Column: "views", By: Int(1)}},
		},
		&SocketSend{ID: "s1", Room: "lobby", Except: []string{"s2"}, Binary: true, Body: []byte("hi")},
		&SocketRoom{ID: "s1", Room: "lobby"},
		&SocketClose{ID: "s1", Code: 4000, Reason: "bye"},
		&SocketData{ID: "s1", Data: []byte{1, 2}},
		&Count{N: 3},
		&FetchRequest{Method: "PUT", URL: "https://example.org/", Header: []string{"A", "b"}, Body: []byte("x"), Timeout: 1000, Redirect: -1},
		&FetchResponse{Status: 200, URL: "https://example.org/b", Header: []string{"A", "b"}, Body: []byte("x")},
	}
}

func encode(t testing.TB, m message) []byte {
	t.Helper()
	b, err := m.MarshalMsg(nil)
	if err != nil {
		t.Fatalf("%T: %v", m, err)
	}
	if len(b) > m.Msgsize() {
		t.Errorf("%T takes %d bytes, over its Msgsize of %d", m, len(b), m.Msgsize())
	}
	return b
}

// empty is a new message of m's type.
func empty(m message) message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(message) }

// equal compares messages; a list that is empty is as good as none.
func equal(a, b message) bool {
	return cmp.Equal(a, b, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b Value) bool { return a == b }))
}

// TestGolden: the bytes of v1 never change. A difference here is a broken plugin somewhere.
func TestGolden(t *testing.T) {
	var out strings.Builder
	for _, m := range samples() {
		fmt.Fprintf(&out, "# %s\n", strings.TrimPrefix(fmt.Sprintf("%T", m), "*abi."))
		for line := range strings.SplitSeq(hex.Dump(encode(t, m)), "\n") {
			if line != "" {
				out.WriteString(line + "\n")
			}
		}
	}
	testkit.Golden(t, "messages.txt", []byte(out.String()))
}

// TestEveryMessageHasASample finds a message that was added and forgotten here.
func TestEveryMessageHasASample(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, m := range samples() {
		seen[reflect.TypeOf(m).Elem()] = true
		v := reflect.ValueOf(m).Elem()
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if _, ok := m.(*Query); !ok && v.Field(i).IsZero() && !older(m, name) {
				t.Errorf("the sample of %s leaves %s empty", v.Type().Name(), name)
			}
		}
	}
	if len(seen) != 27 {
		t.Errorf("%d kinds of message have a sample, want all 27 (add yours to samples, and raise this number)", len(seen))
	}
}

// older says whether a field was added to v1 after its message: the sample without it keeps the bytes of before.
func older(m message, field string) bool {
	switch m := m.(type) {
	case *Begin:
		return m.Parent == 0 && (field == "Isolation" || field == "Parent")
	case *Registration:
		return field == "Channels"
	}
	return false
}

func TestRoundTrip(t *testing.T) {
	for _, m := range samples() {
		got := empty(m)
		rest, err := got.UnmarshalMsg(append(encode(t, m), 0xc0))
		if err != nil || len(rest) != 1 {
			t.Fatalf("%T: %v, %d bytes left, want 1", m, err, len(rest))
		}
		if !equal(got, m) {
			t.Errorf("%T is %+v, want %+v", m, got, m)
		}
	}
}

// TestUnknownKeys: a newer side may say more.
func TestUnknownKeys(t *testing.T) {
	extra := msgpack.AppendString(nil, "from the future")
	extra = msgpack.AppendArrayHeader(extra, 3)
	extra = AppendTime(Decimal("1").AppendMsg(msgpack.AppendMapHeader(extra, 0)), 0, 0)
	for _, m := range samples() {
		b := encode(t, m)
		n, rest, err := msgpack.ReadMapHeaderBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(msgpack.AppendMapHeader(nil, n+1), extra...), rest...)
		got := empty(m)
		if _, err := got.UnmarshalMsg(b); err != nil || !equal(got, m) {
			t.Errorf("%T: %v, %+v, want %+v", m, err, got, m)
		}
		got = empty(m)
		if _, err := got.UnmarshalMsg([]byte{0x80}); err != nil || !equal(got, empty(m)) {
			t.Errorf("%T from an empty map: %v, %+v, want the zero message", m, err, got)
		}
	}
}

// TestReusedMessage: what an earlier message said does not show in a later one.
func TestReusedMessage(t *testing.T) {
	for _, m := range samples() {
		switch m.(type) {
		case *Tx, *Cursor, *Batch, *BatchResult, *Count, *ScheduleEvent, *Notification, *Notify, *SocketSend, *Hello: // have keys that are always sent
			continue
		}
		got := empty(m)
		if _, err := got.UnmarshalMsg(encode(t, m)); err != nil {
			t.Fatal(err)
		}
		if _, err := got.UnmarshalMsg(encode(t, empty(m))); err != nil {
			t.Fatal(err)
		}
		if b := encode(t, got); string(b) != string(encode(t, empty(m))) {
			t.Errorf("%T keeps %+v from the message before", m, got)
		}
	}
}

// TestLargeBody: bodies go up to the size of a message, and are never confused with lists.
func TestLargeBody(t *testing.T) {
	body := make([]byte, 1<<20)
	for _, m := range []message{&HTTPRequest{Body: body}, &HTTPResponse{Body: body}, &SocketSend{Body: body}, &FetchResponse{Body: body}, &CallEvent{Body: body}} {
		got := empty(m)
		if _, err := got.UnmarshalMsg(encode(t, m)); err != nil || !bytes.Equal(encode(t, got), encode(t, m)) {
			t.Errorf("%T with a body of 1 MiB: %v", m, err)
		}
	}
}

// TestClaims: a header that claims more than there is costs nothing.
func TestClaims(t *testing.T) {
	many := []byte{0xdd, 0xff, 0xff, 0xff, 0xff}
	for _, m := range samples() {
		typ := reflect.TypeOf(m).Elem()
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("msg"), ",")
			for _, claim := range [][]byte{many, {0xdc, 0xff, 0xff}, {0xc6, 0xff, 0xff, 0xff, 0xff}, {0xdb, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}} {
				b := append(msgpack.AppendString([]byte{0x81}, key), claim...)
				// The counter is the process's and some of it comes late, so what counts is the least of several readings.
				least := uint64(math.MaxUint64)
				for range 5 {
					before := allocated()
					if _, err := empty(m).UnmarshalMsg(b); err == nil {
						t.Errorf("%T took %x", m, b)
					}
					least = min(least, allocated()-before)
				}
				if least > 64<<10 {
					t.Errorf("%T allocated %d bytes for %x", m, least, b)
				}
			}
		}
	}
}

// allocated is the bytes allocated so far, without stopping the world; small objects may be counted a little later.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// FuzzMessages reads anything at all as each message: no panic, memory in proportion, and what was read is written and
// read again as the same.
func FuzzMessages(f *testing.F) {
	all := samples()
	for i, m := range all {
		f.Add(byte(i), encode(f, m))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		m := empty(all[int(which)%len(all)])
		before := allocated()
		rest, err := m.UnmarshalMsg(b)
		if n, most := allocated()-before, uint64(len(b))*1024+256<<10; n > most {
			t.Errorf("%T allocated %d bytes for %d, want at most %d", m, n, len(b), most)
		}
		if err != nil {
			if text := err.Error(); text == "" || !utf8ish(text) {
				t.Errorf("%T: error %q", m, text)
			}
			return
		}
		if len(rest) > len(b) {
			t.Fatalf("%T left %d bytes of %d", m, len(rest), len(b))
		}
		once := encode(t, m)
		again := empty(m)
		if _, err := again.UnmarshalMsg(once); err != nil {
			t.Fatalf("%T: reading what was written: %v", m, err)
		}
		if twice := encode(t, again); string(once) != string(twice) {
			t.Errorf("%T is not stable:\n%x\n%x", m, once, twice)
		}
		if _, err := msgp.Skip(once); err != nil {
			t.Errorf("%T is not MessagePack for msgp: %v", m, err)
		}
	})
}

func utf8ish(s string) bool { return !strings.ContainsRune(s, 0) }

func TestErrorsSayWhere(t *testing.T) {
	b := []byte{0x81, 0xa1, 'w', 0x92, 0x80, 0x81, 0xa1, 'c', 0x01} // the second condition's column is a number
	var q Query
	_, err := q.UnmarshalMsg(b)
	if err == nil || !strings.Contains(err.Error(), "Where/1/Column") && !strings.Contains(err.Error(), "Column at Where/1") {
		t.Errorf("%v does not say that Where, item 1, Column is wrong", err)
	}
	if _, err := q.UnmarshalMsg(nil); !errors.Is(err, msgpack.ErrShortBytes) {
		t.Errorf("%v, want ErrShortBytes", err)
	}
}

func BenchmarkHTTPRequest(b *testing.B) {
	msg := encode(b, samples()[0])
	b.ReportAllocs()
	for b.Loop() {
		var r HTTPRequest
		if _, err := r.UnmarshalMsg(msg); err != nil {
			b.Fatal(err)
		}
	}
}
