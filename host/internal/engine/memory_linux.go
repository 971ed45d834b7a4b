package engine

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// How many private pages an instance may collect before all are dropped, and after how many resets that is done anyway:
// a page that was written once is copied back at every reset from then on, until it is dropped.
const (
	maxPrivatePages = 1024
	dropEvery       = 256
	dropFrom        = 16
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
	reserved, err := unix.Mmap(-1, 0, int(limit), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space: %w", limit, err)
	}
	return &mappedMemory{memories: ms, reserved: reserved}, nil
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
	reserved []byte
	used     uint64
	// resets since the private pages were last dropped.
	resets  int
	regions [64]pageRegion
}

func (m *mappedMemory) allocator() experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return m })
}

// Reallocate implements experimental.LinearMemory.
func (m *mappedMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
		return nil
	}
	if size > m.used {
		if err := unix.Mprotect(m.reserved[m.used:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil
		}
		m.used = size
	}
	return m.reserved[:size:len(m.reserved)]
}

func (m *mappedMemory) Free() {
	if m.reserved != nil {
		// It cannot fail for a mapping of our own.
		_ = unix.Munmap(m.reserved)
		m.reserved = nil
	}
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

func (m *mappedMemory) adopted(image, []byte) error { return nil }

func (m *mappedMemory) reset(img image, contents []byte) error {
	if len(contents) == 0 {
		return nil
	}
	if m.memories.mode == resetDrop {
		return m.drop(contents)
	}
	source := img.bytes()
	base := uintptr(unsafe.Pointer(unsafe.SliceData(contents)))
	pages, rest := 0, contents
	for len(rest) > 0 {
		n, next, err := m.memories.written(rest, m.regions[:])
		if err != nil {
			return m.drop(contents)
		}
		for _, r := range m.regions[:n] {
			from, to := r.start-base, r.end-base
			copy(contents[from:to], source[from:to])
			pages += int(to-from) / os.Getpagesize()
		}
		if pages > maxPrivatePages {
			return m.drop(contents)
		}
		rest = contents[min(int(next-base), len(contents)):]
	}
	if m.resets++; m.resets >= dropEvery && pages >= dropFrom {
		return m.drop(contents)
	}
	return nil
}

// drop gives the private pages back to the system, so that the image shows again.
func (m *mappedMemory) drop(contents []byte) error {
	m.resets = 0
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
	found, _, errno := unix.Syscall(unix.SYS_IOCTL, ms.pagemap.Fd(), pagemapScan, uintptr(unsafe.Pointer(&scan)))
	if errno != 0 {
		return 0, 0, errno
	}
	return int(found), uintptr(scan.walkEnd), nil
}
