//go:build wasip1

package odac

// writers are those that nobody uses, free of them. Goroutines of a guest take turns, and never where nothing is called or allocated: no
// lock is needed.
var (
	writers [8]*writer
	free    int
)

// takeWriter gives an empty writer, for giveBack.
func takeWriter() *writer {
	if free == 0 {
		return newWriter()
	}
	free--
	w := writers[free]
	writers[free] = nil
	w.b = w.b[:0]
	return w
}

// giveBack takes a writer that nobody uses any more.
func giveBack(w *writer) {
	if cap(w.b) <= maxKeptBytes && free < len(writers) {
		writers[free] = w
		free++
	}
}
