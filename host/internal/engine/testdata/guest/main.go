// Command guest is what the engine's tests run: a standard Go plugin.
package main

import (
	"crypto/rand"
	"os"
	"time"
	"unsafe"
)

var (
	counter int32
	buf     []byte
	secrets [][]byte
	sink    byte
)

//go:wasmimport test:host/v1 read
func hostRead(ptr unsafe.Pointer, n uint32)

//go:wasmimport test:host/v1 write
func hostWrite(ptr unsafe.Pointer, n uint32)

//go:wasmimport test:host/v1 wait
func hostWait()

//go:wasmimport test:host/v1 fail
func hostFail()

//go:wasmexport echo
func echo(n uint32) int32 {
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	b := buf[:n]
	hostRead(unsafe.Pointer(unsafe.SliceData(b)), n)
	hostWrite(unsafe.Pointer(unsafe.SliceData(b)), n)
	return 0
}

//go:wasmexport count
func count() int32 { counter++; return counter }

//go:wasmexport spin
func spin() int32 {
	for {
		counter++
	}
}

//go:wasmexport recurse
func recurse(n int32) int32 {
	if n < 2 {
		return 1
	}
	return recurse(n-1) + recurse(n-2)
}

//go:wasmexport allocate
func allocate(mb int32) int32 {
	b := make([]byte, int(mb)<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	secrets = append(secrets, b)
	return int32(len(b) >> 20)
}

//go:wasmexport garbage
func garbage(kb int32) int32 {
	sum := 0
	for range kb {
		b := make([]byte, 1024)
		b[7] = byte(kb)
		sum += len(b)
		sink ^= b[7]
	}
	return int32(sum >> 10)
}

//go:wasmexport print
func print() {
	_, _ = os.Stdout.WriteString("to stdout\n")
	_, _ = os.Stderr.WriteString("to stderr\n")
	_, _ = os.Stdout.WriteString("unfinished")
}

//go:wasmexport exit
func exit(code int32) { os.Exit(int(code)) }

//go:wasmexport fault
func fault() { panic("fault") }

//go:wasmexport sleep
func sleep(ms int32) { time.Sleep(time.Duration(ms) * time.Millisecond) }

//go:wasmexport wait
func wait() { hostWait() }

//go:wasmexport hostfail
func hostfail() { hostFail() }

//go:wasmexport waitloop
func waitloop() {
	for {
		hostWait()
	}
}

//go:wasmexport random
func random() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return *(*int64)(unsafe.Pointer(&b))
}

//go:wasmexport getenv
func getenv() int32 { return int32(len(os.Getenv("ODAC_TEST")))<<8 | int32(len(os.Args)) }

//go:wasmexport openfile
func openfile() int32 {
	if _, err := os.ReadFile("/etc/hostname"); err == nil {
		return 1
	}
	return 0
}

func main() {}
