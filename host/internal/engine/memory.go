package engine

import (
	"errors"

	"github.com/tetratelabs/wazero/experimental"
)

// resetMode is how memory goes back to the image. Zero chooses the best that the system offers.
type resetMode int

const (
	resetBest resetMode = iota
	// resetScan copies back the pages that the kernel names as written (Linux 6.7 and later).
	resetScan
	// resetDrop drops all private pages, so that the image shows again (Linux).
	resetDrop
	// resetCopy copies the whole memory back (everywhere).
	resetCopy
)

// memories makes the linear memories of one engine's instances, and the images of its programs.
type memories interface {
	// make returns a memory that may grow to limit bytes.
	make(limit int64) (memory, error)
	// take makes an image of a memory's contents.
	take(m memory, contents []byte) (image, error)
	close() error
}

// memory is the linear memory of one instance.
type memory interface {
	// allocator is what wazero shall take the memory from; nil means from the Go heap.
	allocator() experimental.MemoryAllocator
	// adopt and adopted put the image in place of what instantiation left, before and after wazero learns its size.
	adopt(img image) error
	adopted(img image, contents []byte) error
	// begin and end are around a call, and wait before what may wait in it, all on its goroutine, so that reset can know what it wrote.
	begin()
	wait()
	end()
	// reset puts the image in place of what a call left. The memory has the image's size.
	reset(img image, contents []byte) error
	// zero clears p, which is the memory's beginning, by giving its pages back; false if it did not. Only for a memory that
	// never had an image.
	zero(p []byte) bool
	// trim gives back pages that were written to, of a memory that is at the image.
	trim(contents []byte) error
	// Free unmaps the memory; also called twice.
	Free()
}

// image is a memory's contents after initialisation, shared by the instances of a program.
type image interface {
	bytes() []byte
	close() error
}

// heapMemories is the portable way: memories and images are slices, and reset copies everything.
type heapMemories struct{}

func (heapMemories) make(int64) (memory, error) { return heapMemory{}, nil }
func (heapMemories) close() error               { return nil }

func (heapMemories) take(_ memory, contents []byte) (image, error) {
	return heapImage(append([]byte(nil), contents...)), nil
}

type heapImage []byte

func (i heapImage) bytes() []byte { return i }
func (i heapImage) close() error  { return nil }

type heapMemory struct{}

func (heapMemory) allocator() experimental.MemoryAllocator { return nil }
func (heapMemory) adopt(image) error                       { return nil }
func (heapMemory) zero([]byte) bool                        { return false }
func (heapMemory) trim([]byte) error                       { return nil }
func (heapMemory) Free()                                   {}
func (heapMemory) begin()                                  {}
func (heapMemory) wait()                                   {}
func (heapMemory) end()                                    {}

func (m heapMemory) adopted(img image, contents []byte) error { return m.reset(img, contents) }

func (heapMemory) reset(img image, contents []byte) error {
	if copy(contents, img.bytes()) != len(contents) {
		return errors.New("memory and image differ in size")
	}
	return nil
}
