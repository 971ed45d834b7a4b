//go:build wasip1

package wire

import (
	"runtime"
	"unsafe"

	pdk "github.com/extism/go-pdk"

	"github.com/odac-run/odachost/abi"
)

// scratchBytes is what an answer usually fits in: then a call crosses once.
const scratchBytes = 16 << 10

// scratch receives answers. It is taken while a call runs: the garbage collector may let another goroutine go on in the middle.
var scratch = make([]byte, scratchBytes)

type imported func(req unsafe.Pointer, reqLen uint32, resp unsafe.Pointer, respCap uint32) uint64

// call runs a host function and copies its answer into memory of its own.
func call(f imported, req []byte) ([]byte, abi.Errno) {
	buf := scratch
	scratch = nil
	if buf == nil {
		buf = make([]byte, scratchBytes)
	}
	errno, n := abi.Unpack(f(unsafe.Pointer(unsafe.SliceData(req)), uint32(len(req)), unsafe.Pointer(unsafe.SliceData(buf)), scratchBytes))
	var answer []byte
	switch {
	case n == 0:
	case n <= scratchBytes:
		answer = append(answer, buf[:n]...)
	default:
		answer, errno = take(errno, n)
	}
	scratch = buf
	return answer, errno
}

// take fetches an answer of n bytes that did not fit.
func take(errno abi.Errno, n int) ([]byte, abi.Errno) {
	answer := make([]byte, n)
	taken, m := abi.Unpack(coreTake(nil, 0, unsafe.Pointer(unsafe.SliceData(answer)), uint32(n)))
	if taken != abi.ErrnoOK || m != n {
		return []byte("the host lost an answer"), abi.ErrnoInternal
	}
	return answer, errno
}

// Input is the message of the running event, n bytes, in memory of its own.
func Input(n int) ([]byte, abi.Errno) {
	msg := make([]byte, n)
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
