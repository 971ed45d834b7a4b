//go:build !wasip1

package odac

import "encoding/binary"

// load32 and load64 read a number at an offset that lies within b.
func load32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func load64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
