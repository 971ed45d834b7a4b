package odac

// writer collects what a template writes. It is not Ctx itself, whose methods html/template would all keep in the binary.
type writer struct{ b []byte }

func (w *writer) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func (w *writer) WriteString(s string) (int, error) {
	w.b = append(w.b, s...)
	return len(s), nil
}

// The writers that messages and bodies are collected in are kept from one use to the next, in the state of the image too.
const (
	// writerBytes is what a new writer holds without growing.
	writerBytes = 16 << 10
	// maxKeptBytes bounds what is kept.
	maxKeptBytes = 256 << 10
)

func newWriter() *writer { return &writer{b: make([]byte, 0, writerBytes)} }
