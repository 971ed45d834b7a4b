//go:build !wasip1

package odac

import (
	"encoding/binary"
	"unsafe"
)

// load32 and load64 read a number at an offset from base.
func load32(base unsafe.Pointer, at int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(base, at))[:])
}

func load64(base unsafe.Pointer, at int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(base, at))[:])
}
