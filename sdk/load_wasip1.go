//go:build wasip1

package odac

import "unsafe"

// load32 and load64 read a number at an offset from base: in one instruction, which the compiler does not make of the bytes one by one.
func load32(base unsafe.Pointer, at int) uint32 { return *(*uint32)(unsafe.Add(base, at)) }
func load64(base unsafe.Pointer, at int) uint64 { return *(*uint64)(unsafe.Add(base, at)) }
