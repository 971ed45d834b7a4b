//go:build wasip1

package odac

import "unsafe"

// load32 and load64 read a number at an offset that lies within b: in one instruction, which the compiler does not make of the bytes one by
// one.
func load32(b []byte, at int) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), at))
}

func load64(b []byte, at int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), at))
}
