package ws

// fifo is a queue that gives its memory back when it runs empty, since most connections are idle.
type fifo[T any] struct {
	items []T
	head  int
}

const keepItems = 8

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) push(item T) {
	if f.head > 0 && len(f.items) == cap(f.items) && f.head >= len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, item)
}

func (f *fifo[T]) peek() *T { return &f.items[f.head] }

func (f *fifo[T]) pop() T {
	var zero T
	item := f.items[f.head]
	f.items[f.head] = zero
	f.head++
	if f.head == len(f.items) {
		f.reset()
	}
	return item
}

func (f *fifo[T]) reset() {
	clear(f.items)
	f.items, f.head = f.items[:0], 0
	if cap(f.items) > keepItems {
		f.items = nil
	}
}

// filter keeps, in order, the items that keep reports true for.
func (f *fifo[T]) filter(keep func(*T) bool) {
	n := 0
	for i := f.head; i < len(f.items); i++ {
		if keep(&f.items[i]) {
			f.items[n] = f.items[i]
			n++
		}
	}
	clear(f.items[n:])
	f.items, f.head = f.items[:n], 0
}
