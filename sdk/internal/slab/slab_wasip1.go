//go:build wasip1

package slab

// Slab cuts pieces from chunks. The zero Slab works. A piece is never given twice: who keeps one keeps its chunk from the
// collector, which is what it costs.
type Slab[T any] struct{ free []T }

// chunkItems is how many items a chunk has.
const chunkItems = 32

// Take is n new items. Goroutines of a guest take turns, and never in the middle of the two lines that cut a piece.
func (s *Slab[T]) Take(n int) []T {
	if n > len(s.free) {
		if n >= chunkItems {
			return make([]T, n)
		}
		s.free = make([]T, chunkItems)
	}
	piece := s.free[:n:n]
	s.free = s.free[n:]
	return piece
}
