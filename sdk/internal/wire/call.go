//go:build wasip1

package wire

import (
	"runtime"
	"unsafe"

	pdk "github.com/extism/go-pdk"

	"github.com/odac-run/odachost/abi"
)

// room is memory that answers and events are cut from, one after the other; what is cut off is never cut again. Each chunk is collected once
// nobody holds a piece of it. No other goroutine runs between the lines that look at it and those that cut. One may run wherever a function
// is called, so that a call takes the room for itself.
var room []byte

const (
	// chunkBytes is a new room.
	chunkBytes = 64 << 10
	// answerBytes is what an answer usually fits in: then a call crosses once.
	answerBytes = 16 << 10
)

// Prepare makes room now, so that it is in the image which fresh instances start from.
func Prepare() { room = make([]byte, chunkBytes) }

// piece is n bytes.
func piece(n int) []byte {
	if n > len(room) {
		if n >= answerBytes {
			return make([]byte, n)
		}
		room = make([]byte, chunkBytes)
	}
	p := room[:n:n]
	room = room[n:]
	return p
}

type imported func(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// call runs a host function. The answer is memory of its own.
func call(f imported, req []byte) ([]byte, abi.Errno) {
	for taking || len(room) < answerBytes {
		if taking {
			runtime.Gosched()
		} else {
			room = make([]byte, chunkBytes)
		}
	}
	mine := room
	room = nil
	errno, n := abi.Unpack(f(unsafe.Pointer(unsafe.SliceData(req)), uint32(len(req)), unsafe.Pointer(unsafe.SliceData(mine)), uint32(len(mine))))
	if n > len(mine) {
		room, taking = mine, true
		return take(errno, n)
	}
	room = mine[n:]
	return mine[:n:n], errno
}

// taking says that the host keeps an answer, which the next that does not fit would replace.
var taking bool

// take fetches an answer of n bytes that did not fit. To allocate that much may give way to other goroutines.
func take(errno abi.Errno, n int) ([]byte, abi.Errno) {
	answer := make([]byte, n)
	status, m := abi.Unpack(coreTake(nil, 0, unsafe.Pointer(unsafe.SliceData(answer)), uint32(n)))
	taking = false
	if status != abi.ErrnoOK || m != n {
		return []byte("the host lost an answer"), abi.ErrnoInternal
	}
	return answer, errno
}

// Input is the message of the running event, n bytes, in memory of its own.
func Input(n int) ([]byte, abi.Errno) {
	msg := piece(n)
	errno, m := abi.Unpack(coreInput(nil, 0, unsafe.Pointer(unsafe.SliceData(msg)), uint32(n)))
	if m > n {
		return nil, abi.ErrnoFault
	}
	return msg[:m], errno
}

// Output answers the running event.
func Output(msg []byte) abi.Errno {
	errno, _ := abi.Unpack(coreOutput(unsafe.Pointer(unsafe.SliceData(msg)), uint32(len(msg)), nil, 0))
	return errno
}

// Config is a key of the plugin's configuration.
func Config(key string) (string, bool) { return pdk.GetConfig(key) }

// Log writes a line to the host's log.
func Log(level LogLevel, line string) {
	mem := pdk.AllocateString(line)
	pdk.LogMemory(pdk.LogLevel(level), mem)
	mem.Free()
}

// Stderr writes a line to standard error, which the host logs. Unlike Log it needs no import beyond WASI's.
func Stderr(line string) { print(line + "\n") }

//go:wasmimport wasi_snapshot_preview1 random_get
//go:noescape
func randomGet(buf unsafe.Pointer, n uint32) uint32

// Random fills b with the host's randomness.
func Random(b []byte) {
	if len(b) > 0 && randomGet(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))) != 0 {
		panic("odac: the host has no randomness")
	}
}

// yieldEvery is the events between two yields.
const yieldEvery = 64

var events uint

// Yield ends an event. Now and then it lets other goroutines run: those that the collector's finalizers and cleanups need, which
// would starve in a guest whose handlers never wait. The collector itself gets by on what each allocation contributes
// (measured with this yield: a million events, and 20 GB of garbage, in 8 MiB), so it is not worth a microsecond each time.
func Yield() {
	if events++; events%yieldEvery == 0 {
		runtime.Gosched()
	}
}
