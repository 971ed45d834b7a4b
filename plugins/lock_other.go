//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package plugins

import (
	"os"
	"sync"
)

// Here only the goroutines of one process exclude each other.
var locked sync.Map // by file name

func tryLock(f *os.File) error {
	if _, taken := locked.LoadOrStore(f.Name(), true); taken {
		return errLocked
	}
	return nil
}

func unlock(f *os.File) error {
	locked.Delete(f.Name())
	return nil
}
