//go:build wasip1

package odac

import "runtime"

// warmed keeps the compiler from seeing that nobody needs what warm allocates.
var warmed any

// warm leaves the allocator as that of a plugin that has served for a while, so that the image which the host takes
// after registration has it so: free memory for an event to grow into, and a span at hand for every size of object. In
// fresh isolation each event starts from that image, and would pay for all of it again (100 us of a row's 160).
func warm() {
	warmed = make([]byte, 2<<20)
	warmed = nil
	runtime.GC()
	for range 1000 {
		runtime.Gosched()
	}
	for size := 8; size <= 8<<10; size += max(8, size/16) {
		warmed = make([]byte, size)
		warmed = make([]*byte, size/8)
	}
	warmed = nil
}
