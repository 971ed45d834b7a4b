//go:build !wasip1

package odac

import "sync"

var writers = sync.Pool{New: func() any { return newWriter() }}

// takeWriter gives an empty writer, for giveBack.
func takeWriter() *writer {
	w := writers.Get().(*writer)
	w.b = w.b[:0]
	return w
}

// giveBack takes a writer that nobody uses any more.
func giveBack(w *writer) {
	if cap(w.b) <= maxKeptBytes {
		writers.Put(w)
	}
}
