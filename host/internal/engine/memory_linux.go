//go:build !portable

package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// A page that was written to is copied back at every reset from then on, which takes a tenth of what it takes to get it anew at its next
// write. So what calls write to is kept, and what one call out of many wrote to is not.
const (
	// maxPrivatePages is how many pages an instance keeps; above, all are dropped.
	maxPrivatePages = 2048
	// maxSurge is how many pages one call may add. Of a call that adds more they are dropped, unless the call before added as many too.
	maxSurge = 64
	// maxCopied is after how many copied pages all are dropped, so that those are found again that calls still write to.
	maxCopied = 1 << 16
	// hugeBytes is the size of a huge page on most processors. What a memory grows by gets them: the first write to one takes as long as those to
	// 30 of the 512 small pages that it stands for. An image does not: it is shared, and what calls write of it is copied back page by page.
	hugeBytes = 2 << 20
)

// mappedMemories maps memories from the operating system and images from a memfd, privately, so that the instances of a
// program share the pages that they did not write.
type mappedMemories struct {
	mode resetMode
	// pagemap is /proc/self/pagemap, which answers which pages were written; nil if it cannot.
	pagemap *os.File
}

func newMemories(mode resetMode) memories {
	if mode == resetCopy {
		return heapMemories{}
	}
	ms := &mappedMemories{mode: mode}
	if mode == resetDrop {
		return ms
	}
	if f, err := os.Open("/proc/self/pagemap"); err == nil {
		ms.pagemap = f
		if ms.probe() == nil {
			ms.mode = resetScan
			return ms
		}
		_ = f.Close() // it was never read
		ms.pagemap = nil
	}
	ms.mode = resetDrop
	return ms
}

// probe asks the kernel about a page of our own.
func (ms *mappedMemories) probe() error {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(page) }() // a probe's page
	page[0] = 1
	var regions [1]pageRegion
	n, _, err := ms.written(page, regions[:])
	if err == nil && n != 1 {
		err = errors.New("pagemap does not name a written page")
	}
	return err
}

func (ms *mappedMemories) close() error {
	if ms.pagemap == nil {
		return nil
	}
	return ms.pagemap.Close()
}

func (ms *mappedMemories) make(limit int64) (memory, error) {
	mapping, err := unix.Mmap(-1, 0, int(limit)+hugeBytes, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space: %w", limit, err)
	}
	start := -int(uintptr(unsafe.Pointer(unsafe.SliceData(mapping)))) & (hugeBytes - 1)
	return &mappedMemory{memories: ms, mapping: mapping, reserved: mapping[start : start+int(limit)]}, nil
}

func (ms *mappedMemories) take(_ memory, contents []byte) (image, error) {
	img := &mappedImage{fd: -1}
	if len(contents) == 0 {
		return img, nil
	}
	fd, err := unix.MemfdCreate("odachost-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	img.fd = fd
	if err := img.fill(contents); err != nil {
		return nil, errors.Join(err, img.close())
	}
	return img, nil
}

// mappedImage is a sealed memfd, and a view of it.
type mappedImage struct {
	fd   int
	view []byte
}

func (i *mappedImage) fill(contents []byte) error {
	if err := unix.Ftruncate(i.fd, int64(len(contents))); err != nil {
		return fmt.Errorf("size the image: %w", err)
	}
	page := os.Getpagesize()
	zero := make([]byte, page)
	for off := 0; off < len(contents); off += page {
		// A page of zeros stays a hole, which takes no memory.
		if p := contents[off : off+page]; string(p) != string(zero) {
			if n, err := unix.Pwrite(i.fd, p, int64(off)); err != nil || n != page {
				return fmt.Errorf("write the image: %d bytes, %w", n, err)
			}
		}
	}
	if _, err := unix.FcntlInt(uintptr(i.fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		return fmt.Errorf("seal the image: %w", err)
	}
	view, err := unix.Mmap(i.fd, 0, len(contents), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("map the image: %w", err)
	}
	i.view = view
	return nil
}

func (i *mappedImage) bytes() []byte { return i.view }

func (i *mappedImage) close() error {
	var errs []error
	if i.view != nil {
		errs = append(errs, unix.Munmap(i.view))
		i.view = nil
	}
	if i.fd >= 0 {
		errs = append(errs, unix.Close(i.fd))
		i.fd = -1
	}
	return errors.Join(errs...)
}

// mappedMemory is a reservation of address space of which the beginning can be used.
type mappedMemory struct {
	memories *mappedMemories
	mapping  []byte // from the system
	reserved []byte // the part of it that begins where a huge page can
	used     uint64
	// known are the pages that were private at the last scan, settled those before it.
	known, settled []region
	// copied is how many pages were copied back since they were last dropped, surged that the last call added many.
	copied int
	surged bool
	// sure says that no others are, called that a call began after the last reset, pinned that it keeps its thread, which had had
	// so many faults when it began.
	sure, called, pinned bool
	faults               int64
	regions              [64]pageRegion
}

// region is a part of a memory, as offsets.
type region struct{ start, end uintptr }

var pageSize = os.Getpagesize()

func (m *mappedMemory) allocator() experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return m })
}

// Reallocate implements experimental.LinearMemory.
func (m *mappedMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
		return nil
	}
	if size > m.used {
		end := size
		if m.used > 0 { // grows: a page is huge if all of it can be used
			end = min((size+hugeBytes-1)&^(hugeBytes-1), uint64(len(m.reserved)))
		}
		if err := unix.Mprotect(m.reserved[m.used:end], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil
		}
		if from := (m.used + hugeBytes - 1) &^ (hugeBytes - 1); m.used > 0 && from < end {
			_ = unix.Madvise(m.reserved[from:end], unix.MADV_HUGEPAGE) // a kernel without them has pages as ever
		}
		m.used = end
	}
	return m.reserved[:size:len(m.reserved)]
}

func (m *mappedMemory) Free() {
	if m.mapping != nil {
		// It cannot fail for a mapping of our own.
		_ = unix.Munmap(m.mapping)
		m.mapping, m.reserved = nil, nil
	}
}

func (m *mappedMemory) zero(p []byte) bool {
	whole := len(p) &^ (os.Getpagesize() - 1)
	if unix.Madvise(p[:whole], unix.MADV_DONTNEED) != nil {
		return false
	}
	clear(p[whole:])
	return true
}

func (m *mappedMemory) adopt(img image) error {
	i := img.(*mappedImage)
	if len(i.view) == 0 {
		return nil
	}
	if len(i.view) > len(m.reserved) {
		return errors.New("image larger than the memory limit")
	}
	addr := unsafe.Pointer(unsafe.SliceData(m.reserved))
	if _, err := unix.MmapPtr(i.fd, 0, addr, uintptr(len(i.view)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE); err != nil {
		return fmt.Errorf("map the image: %w", err)
	}
	m.used = max(m.used, uint64(len(i.view)))
	return nil
}

func (m *mappedMemory) adopted(image, []byte) error {
	// Pages may be private from the start: a process that locks its memory (mlockall with MCL_FUTURE) gets them with the mapping.
	m.known, m.sure = m.known[:0], false
	return nil
}

// begin and end are around a call: they count the page faults of its thread, which it keeps meanwhile. The first write to a page of the
// image is one, so after a call without any, the private pages are those of the calls before. Only the first call after a reset
// is looked at: an instance that is never reset does not pay.
//
// A process that locks what it has mapped already (mlockall with MCL_CURRENT) makes pages private without a fault of the thread: it has
// to do so before it makes instances.
func (m *mappedMemory) begin() {
	if m.sure && !m.called && m.memories.mode == resetScan {
		runtime.LockOSThread()
		m.called, m.pinned, m.faults = true, true, threadFaults()
	}
}

func (m *mappedMemory) end() {
	m.sure = m.pinned && threadFaults() == m.faults
	m.wait()
}

// wait lets the thread go, because a goroutine that waits with its thread makes two switches between threads of it.
func (m *mappedMemory) wait() {
	if m.pinned {
		m.pinned = false
		runtime.UnlockOSThread()
	}
}

// threadFaults is how many page faults the thread had.
func threadFaults() int64 {
	var usage unix.Rusage
	_, _, errno := unix.RawSyscall(unix.SYS_GETRUSAGE, unix.RUSAGE_THREAD, uintptr(unsafe.Pointer(&usage)), 0)
	if errno != 0 {
		return -1 - rand.Int64() // equals no other
	}
	return usage.Minflt + usage.Majflt
}

func (m *mappedMemory) reset(img image, contents []byte) error {
	sure := m.sure
	m.called, m.sure = false, true
	if len(contents) == 0 {
		return nil
	}
	if m.memories.mode == resetDrop {
		return m.drop(contents)
	}
	surge := 0
	if !sure {
		m.known, m.settled = m.settled[:0], m.known
		if err := m.scan(contents); err != nil {
			return m.drop(contents)
		}
		surge = pagesOf(m.known) - pagesOf(m.settled)
	}
	first := surge > maxSurge && !m.surged
	if m.surged = surge > maxSurge; first {
		if err := m.dropAdded(contents); err != nil {
			return m.drop(contents)
		}
	}
	pages := pagesOf(m.known)
	if m.copied += pages; pages > maxPrivatePages || m.copied > maxCopied {
		return m.drop(contents)
	}
	source := img.bytes()
	for _, r := range m.known {
		copy(contents[r.start:r.end], source[r.start:r.end])
	}
	return nil
}

func pagesOf(regions []region) (n int) {
	for _, r := range regions {
		n += int(r.end-r.start) / pageSize
	}
	return n
}

// dropAdded drops what is known and was not settled. Both are in order.
func (m *mappedMemory) dropAdded(contents []byte) error {
	settled := m.settled
	for _, r := range m.known {
		for at := r.start; at < r.end; {
			for len(settled) > 0 && settled[0].end <= at {
				settled = settled[1:]
			}
			end := r.end
			if len(settled) > 0 && settled[0].start < end {
				end = max(settled[0].start, at)
			}
			if end > at {
				if err := unix.Madvise(contents[at:end], unix.MADV_DONTNEED); err != nil {
					return err
				}
			}
			if at = end; len(settled) > 0 && settled[0].start <= at {
				at = max(at, min(settled[0].end, r.end))
			}
		}
	}
	m.known, m.settled = m.settled, m.known
	return nil
}

// scan asks which pages are private. Their regions are relative to contents.
func (m *mappedMemory) scan(contents []byte) error {
	m.known = m.known[:0]
	base := uintptr(unsafe.Pointer(unsafe.SliceData(contents)))
	for rest := contents; len(rest) > 0; {
		n, next, err := m.memories.written(rest, m.regions[:])
		if err != nil {
			return err
		}
		for _, r := range m.regions[:n] {
			m.known = append(m.known, region{r.start - base, r.end - base})
		}
		rest = contents[min(int(next-base), len(contents)):]
	}
	return nil
}

func (m *mappedMemory) trim(contents []byte) error {
	if len(contents) == 0 {
		return nil
	}
	return m.drop(contents)
}

// drop gives the private pages back to the system, so that the image shows again.
func (m *mappedMemory) drop(contents []byte) error {
	m.copied, m.known = 0, m.known[:0]
	if err := unix.Madvise(contents, unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("drop private pages: %w", err)
	}
	return nil
}

// pageRegion is struct page_region of linux/fs.h.
type pageRegion struct {
	start, end uintptr
	categories uint64
}

// pageScan is struct pm_scan_arg of linux/fs.h.
type pageScan struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages   uint64
	categoryInverted, categoryMask, categoryAnyOf, returnMask uint64
}

// From linux/fs.h: PAGEMAP_SCAN and the categories of pages.
const (
	pagemapScan   = 0xc0606610
	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4
)

// written names the regions of p that are not file pages any more: in a private mapping of a file, those written to. It
// returns how many it found, and the address it came to.
func (ms *mappedMemories) written(p []byte, regions []pageRegion) (n int, next uintptr, err error) {
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p))))
	scan := pageScan{
		start: start, end: start + uint64(len(p)),
		vec: uint64(uintptr(unsafe.Pointer(&regions[0]))), vecLen: uint64(len(regions)),
		categoryInverted: pageIsFile, categoryMask: pageIsFile, categoryAnyOf: pageIsPresent | pageIsSwapped,
		returnMask: pageIsPresent,
	}
	scan.size = uint64(unsafe.Sizeof(scan))
	found, _, errno := unix.RawSyscall(unix.SYS_IOCTL, ms.pagemap.Fd(), pagemapScan, uintptr(unsafe.Pointer(&scan)))
	if errno != 0 {
		return 0, 0, errno
	}
	return int(found), uintptr(scan.walkEnd), nil
}
