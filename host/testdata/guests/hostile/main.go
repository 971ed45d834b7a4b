// Command hostile speaks the ABI without the SDK and passes what no SDK would. Each function that it offers is one
// attack; the answer is what the host said.
package main

import (
	"fmt"
	"unsafe"

	"github.com/odac-run/odachost/abi"
)

//go:wasmimport odac:core/v1 input
func input(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:core/v1 output
func output(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:core/v1 take
func take(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:db/v1 query
func query(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:db/v1 begin
func begin(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:db/v1 commit
func commit(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:db/v1 rollback
func rollback(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:cache/v1 query
func cachedQuery(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:cache/v1 clear
func cacheClear(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:buffer/v1 write
func bufferWrite(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:buffer/v1 flush
func bufferFlush(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:ws/v1 send
func wsSend(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:ws/v1 broadcast
func wsBroadcast(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:ws/v1 join
func wsJoin(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:ws/v1 leave
func wsLeave(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:ws/v1 count
func wsCount(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:ws/v1 close
func wsClose(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:ws/v1 data
func wsData(req, reqLen, resp, respCap uint32) uint64

//go:wasmimport odac:http/v1 fetch
func fetch(req, reqLen, resp, respCap uint32) uint64

// functions are all that the host offers, in the order of the list in the fuzz test.
var functions = []func(req, reqLen, resp, respCap uint32) uint64{
	input, take, query, begin, commit, rollback, cachedQuery, cacheClear, bufferWrite, bufferFlush,
	wsSend, wsBroadcast, wsJoin, wsLeave, wsCount, wsClose, wsData, fetch,
}

func main() {}

func ptr(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

func reply(b []byte) { output(ptr(b), uint32(len(b)), 0, 0) }

//go:wasmexport odac_register
func register(size uint32) uint32 {
	b, _ := (&abi.Registration{ABI: abi.Version, SDK: "none", Calls: []string{"attack", "raw"}}).MarshalMsg(nil)
	reply(b)
	return 0
}

var sink int

//go:wasmexport odac_event
func event(kind, size uint32) uint32 {
	buf := make([]byte, size)
	input(0, 0, ptr(buf), size)
	var in abi.CallEvent
	if _, err := in.UnmarshalMsg(buf); err != nil {
		return uint32(abi.ErrnoInvalid)
	}
	var answer []byte
	if in.Name == "raw" {
		answer = raw(in.Body)
	} else {
		answer = []byte(attack(string(in.Body)))
	}
	b, _ := (&abi.CallReply{Body: answer}).MarshalMsg(nil)
	reply(b)
	return 0
}

// raw calls functions with the bytes that it is given: a list of the function's number, the length of the request and the
// request. In one call, so that transactions meet what comes after them. It answers the errnos.
func raw(calls []byte) (errnos []byte) {
	resp := make([]byte, 256)
	for len(calls) >= 2 {
		f, n := functions[int(calls[0])%len(functions)], min(int(calls[1]), len(calls)-2)
		req := calls[2 : 2+n]
		calls = calls[2+n:]
		errno, _ := abi.Unpack(f(ptr(req), uint32(len(req)), ptr(resp), uint32(len(resp))))
		errnos = append(errnos, byte(errno))
	}
	return errnos
}

func attack(name string) string {
	resp := make([]byte, 64)
	at, room := ptr(resp), uint32(len(resp))
	say := func(r uint64) string {
		errno, n := abi.Unpack(r)
		text := make([]byte, n)
		if n <= len(resp) {
			copy(text, resp)
		} else {
			take(0, 0, ptr(text), uint32(n))
		}
		return fmt.Sprintf("%s: %s", errno.Kind(), text)
	}
	q, _ := (&abi.Query{Table: "items"}).MarshalMsg(nil)
	switch name {
	case "req outside":
		return say(query(0xffff0000, 100, at, room))
	case "req wraps":
		return say(query(0xfffffff0, 0xfffffff0, at, room))
	case "resp outside":
		return say(query(ptr(q), uint32(len(q)), 0xfffffffe, 100))
	case "resp huge":
		return say(query(ptr(q), uint32(len(q)), at, 0xffffffff))
	case "garbage":
		garbage := []byte{0xdd, 0xff, 0xff, 0xff, 0xff}
		return say(query(ptr(garbage), uint32(len(garbage)), at, room))
	case "empty":
		return say(query(0, 0, at, room))
	case "claims":
		claims := append([]byte{0x81, 0xa1, 'w'}, 0xdd, 0xff, 0xff, 0xff, 0xff)
		return say(query(ptr(claims), uint32(len(claims)), at, room))
	case "not granted":
		other, _ := (&abi.Query{Table: "odac_buffer_ledger"}).MarshalMsg(nil)
		return say(query(ptr(other), uint32(len(other)), at, room))
	case "no room":
		return say(query(ptr(q), uint32(len(q)), 0, 0))
	case "take nothing":
		return say(take(0, 0, at, room))
	case "open transaction": // left open, with a row in it
		at, _ := (&abi.Begin{}).MarshalMsg(nil)
		if errno, _ := abi.Unpack(begin(ptr(at), uint32(len(at)), ptr(resp), room)); errno != abi.ErrnoOK {
			return errno.Kind()
		}
		row, _ := (&abi.Query{Tx: 1, Verb: abi.VerbInsert, Table: "items", Fields: []string{"name"}, Rows: []abi.Values{{abi.Text("left")}}}).MarshalMsg(nil)
		return say(query(ptr(row), uint32(len(row)), ptr(resp), room))[:2]
	case "another transaction":
		at, _ := (&abi.Tx{ID: 7}).MarshalMsg(nil)
		return say(commit(ptr(at), uint32(len(at)), ptr(resp), room))
	case "rows": // how many there are
		take := make([]byte, 4096)
		_, n := abi.Unpack(query(ptr(q), uint32(len(q)), ptr(take), uint32(len(take))))
		var result abi.Result
		if _, err := result.UnmarshalMsg(take[:min(n, len(take))]); err != nil {
			return err.Error()
		}
		return fmt.Sprint(len(result.Rows), " rows")
	case "deep":
		sink = deep(0)
	case "exponential":
		sink = exponential(64)
	case "unreachable":
		var p *int
		sink = *p
	case "host calls":
		for {
			input(0, 0, at, room)
		}
	case "overlap": // the answer over the question
		return say(query(ptr(q), uint32(len(q)), ptr(q), uint32(len(q))))
	}
	return "done"
}

//go:noinline
func deep(n int) int { return deep(n+1) + 1 }

//go:noinline
func exponential(n int) int {
	if n == 0 {
		return 1
	}
	return exponential(n-1) + exponential(n-1)
}
