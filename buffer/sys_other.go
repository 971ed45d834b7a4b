//go:build !linux

package buffer

import "os"

func datasync(f *os.File) error { return f.Sync() }

// preallocate sets the size only: a full disk shows when a block is written.
func preallocate(f *os.File, size int64) error { return f.Truncate(size) }
