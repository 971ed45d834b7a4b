//go:build wasip1

package odac

// alone says that no other goroutine runs at the same time, so that what is read by several may remember something unguarded.
const alone = true
