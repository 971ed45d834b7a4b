// Package slab gives guests memory by the piece without asking Go's allocator for each: pieces are cut one after the other
// from a chunk, and the chunk is collected once nobody holds any of them.
//
// An event of a plugin takes dozens of small pieces. By the profile Go's allocator took a third of the guest's time, and it writes to a page of
// its own for every size, which the host then restores after the event. Pieces of a slab cost a comparison and lie side by
// side. In a native build, whose goroutines run in parallel, every piece is simply allocated.
package slab
