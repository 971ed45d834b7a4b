//go:build wasip1

package odac

import (
	"runtime"

	"github.com/odac-run/odachost/sdk/internal/wire"
)

// In fresh isolation each event starts from the image that the host takes after registration and a few warm events. What
// the Go runtime would do once in a long life, it would then do in every event: get a span for each size of object, and
// copy the stack to a larger one again and again. Both are done before instead; together they took two thirds of an
// event that reads one row.

// warmed keeps the compiler from seeing that nobody needs what warm allocates.
var warmed any

// warm leaves the allocator as that of a plugin that has served for a while: free memory for an event to grow into, and a
// span at hand for every size of object.
func warm() {
	warmed = make([]byte, 2<<20)
	warmed = nil
	runtime.GC()
	for range 1000 { // let the sweeper finish
		runtime.Gosched()
	}
	for size := 8; size <= 8<<10; size += max(8, size/16) {
		warmed = make([]byte, size)
		warmed = make([]*byte, size/8)
	}
	warmed = nil
	wire.Prepare()
	for range 3 { // an event, its body, a call
		giveBack(newWriter())
	}
	contexts.One()
	columnSlab.One()
	condSlab.One()
	valueSlab.One()
	stringSlab.One()
	rowSlab.One()
	tableSlab.One()
}

// stretch grows the stack of a new goroutine in one step to what a handler needs. Each event has a goroutine of its own,
// which starts with 2 KiB.
//
//go:noinline
func stretch() byte {
	if stretched == 0 {
		return 0
	}
	var frame [14 << 10]byte // never reached: it is the size of the frame that counts
	use(&frame)
	return frame[stretched]
}

//go:noinline
func use(frame *[14 << 10]byte) { frame[stretched] = 1 }

var stretched int
