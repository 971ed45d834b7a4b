package slab

// One is a new item.
func (s *Slab[T]) One() *T { return &s.Take(1)[0] }

// Joined is a new slice with the items of both.
func (s *Slab[T]) Joined(list []T, more ...T) []T {
	out := s.Take(len(list) + len(more))
	copy(out[copy(out, list):], more)
	return out
}
