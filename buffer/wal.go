package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// blockBytes is where a group commit is cut into the next block.
const blockBytes = 1 << 20

// group is what one block commits. done is closed when it is on disk and folded into its lanes, or has failed with err.
type group struct {
	buf    []byte // block header and records
	first  LSN
	last   LSN
	writes []*write
	done   chan struct{}
	err    error
}

// wal is the write-ahead log. Lock order: mu and segMu are leaves, never held together; the log calls accept and reject
// with none of them.
type wal struct {
	dir      string
	id       logID
	segBytes int64
	maxBytes int64
	accept   func([]*write)        // gets durable writes, in order
	reject   func([]*write, error) // gets writes that are not stored
	wrap     func(*os.File) segmentFile

	mu      sync.Mutex
	queue   []*group // the last one is being filled
	pending *group   // the last one not done, for barrier
	next    LSN
	err     error // why no more writes are taken
	freeBuf []byte
	wake    chan struct{}
	stopped chan struct{} // closed when the committer has ended

	segMu    sync.Mutex
	segs     map[*segment]struct{}
	logBytes int64
	spare    bool // there is a file of segBytes to use again

	// Owned by the committer.
	active *segment
	file   segmentFile
	offset int64
	seed   uint32

	durable atomic.Uint64
	groups  atomic.Int64
}

// append queues a write and gives it its LSN.
func (w *wal) append(wr *write, body []byte) (*group, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	limit := int(min(blockBytes, w.segBytes/4))
	var g *group
	if n := len(w.queue); n > 0 {
		g = w.queue[n-1]
	}
	if g == nil || len(g.buf)+len(body) > limit {
		g = &group{buf: w.bufferLocked(), done: make(chan struct{}), first: w.next}
		w.queue = append(w.queue, g)
		w.pending = g
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	wr.stamp(w.next)
	g.buf = binary.AppendUvarint(g.buf, uint64(wr.lsn-g.first))
	g.buf = binary.AppendUvarint(g.buf, uint64(len(body)))
	g.buf = append(g.buf, body...)
	g.writes = append(g.writes, wr)
	g.last = wr.lsn
	w.next++
	return g, nil
}

func (w *wal) bufferLocked() []byte {
	buf := w.freeBuf
	w.freeBuf = nil
	if buf == nil {
		buf = make([]byte, 0, 64<<10)
	}
	return append(buf[:0], make([]byte, blockHeader)...)
}

// maxBody is the longest body that fits a segment.
func (w *wal) maxBody() int64 {
	return min(MaxWriteBytes, w.segBytes-segmentHeader-blockHeader-32)
}

// barrier gives the last group that is not known to be done, nil if there is none.
func (w *wal) barrier() *group {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending == nil {
		return nil
	}
	select {
	case <-w.pending.done:
		w.pending = nil
	default:
	}
	return w.pending
}

// run is the committer: it writes whole groups until stop.
func (w *wal) run() {
	defer close(w.stopped)
	for range w.wake {
		for {
			w.mu.Lock()
			if len(w.queue) == 0 {
				w.mu.Unlock()
				break
			}
			g := w.queue[0]
			w.queue = w.queue[1:]
			w.mu.Unlock()
			w.commit(g)
		}
	}
}

// stop ends the committer after what is queued, and closes the file.
func (w *wal) stop() error {
	w.mu.Lock()
	if w.err == nil {
		w.err = ErrClosed
	}
	w.mu.Unlock()
	close(w.wake)
	<-w.stopped
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// reset leaves nothing but the header of a new segment, after stop and when all is applied: the next Open has nothing to
// recover. If there is no room for that, the old segments stay.
func (w *wal) reset() error {
	if w.offset > segmentHeader {
		if err := w.rotate(nil); errors.Is(err, ErrDiskFull) || errors.Is(err, ErrBufferFull) {
			return nil
		} else if err != nil {
			return err
		}
		if err := w.file.Close(); err != nil {
			return err
		}
	}
	if w.offset == segmentHeader {
		if err := os.Truncate(w.active.path, segmentHeader); err != nil {
			return err
		}
	}
	err := os.Remove(filepath.Join(w.dir, spareName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// fail makes the log refuse writes.
func (w *wal) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *wal) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == ErrClosed { //nolint:errorlint // the bare sentinel: nothing is wrong
		return nil
	}
	return w.err
}

func (w *wal) commit(g *group) {
	err := w.failure()
	if err == nil {
		err = w.write(g)
	}
	if err == nil {
		w.durable.Store(uint64(g.last))
		w.groups.Add(1)
		w.active.live.Add(int64(len(g.writes)))
		for _, wr := range g.writes {
			wr.seg = w.active
		}
		w.accept(g.writes)
	} else {
		if !errors.Is(err, ErrDiskFull) && !errors.Is(err, ErrBufferFull) && !errors.Is(err, ErrReadOnly) {
			err = fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		if errors.Is(err, ErrReadOnly) {
			w.fail(err)
		}
		w.reject(g.writes, err)
	}
	g.err = err
	close(g.done)
	w.mu.Lock()
	if cap(g.buf) <= 2*blockBytes {
		w.freeBuf = g.buf
	}
	w.mu.Unlock()
	g.buf, g.writes = nil, nil
}

// write puts the group on disk. An error that is not ErrReadOnly has left the log as it was.
func (w *wal) write(g *group) error {
	prev := LSN(w.durable.Load())
	if w.file == nil || w.offset+int64(len(g.buf))+8 > w.active.bytes {
		return w.rotate(func(seed uint32) []byte {
			g.buf = sealBlock(g.buf, seed, len(g.writes), g.first, prev)
			return g.buf
		})
	}
	g.buf = sealBlock(g.buf, w.seed, len(g.writes), g.first, prev)
	if _, err := w.file.WriteAt(g.buf, w.offset); err != nil {
		if !isDiskFull(err) {
			return err
		}
		// Cut off what was written of the block and go on in a new segment.
		if err := errors.Join(w.file.Truncate(w.offset), w.file.Datasync(), w.file.Close()); err != nil {
			return err
		}
		w.file = nil
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	if err := w.file.Datasync(); err != nil {
		return err
	}
	w.offset += int64(len(g.buf))
	return nil
}

// rotate starts the next segment with the block that first makes (nil: none yet) and seals the active one.
func (w *wal) rotate(first func(seed uint32) []byte) error {
	w.segMu.Lock()
	full := w.logBytes+w.segBytes > w.maxBytes && !w.spare
	w.segMu.Unlock()
	if full {
		return fmt.Errorf("%w: the log has %d bytes, see MaxLogBytes", ErrBufferFull, w.maxBytes)
	}
	seq := uint64(1)
	if w.active != nil {
		seq = w.active.seq + 1
	}
	seed := crcSeed(w.id, seq)
	data := appendSegmentHeader(nil, w.id, seq, LSN(w.durable.Load()))
	if first != nil {
		data = append(data, first(seed)...)
	}
	seg := &segment{seq: seq, path: segmentPath(w.dir, seq), bytes: w.segBytes}
	tmp, err := w.newFile(data)
	if err != nil {
		return err
	}
	// From here on a failure leaves in doubt whether the segment exists, and stops the log.
	if err := errors.Join(os.Rename(tmp, seg.path), syncDir(w.dir)); err != nil {
		return err
	}
	f, err := os.OpenFile(seg.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if w.file != nil {
		_ = w.file.Close() // synced, and read only at the next Open
	}
	old := w.active
	w.active, w.file, w.offset, w.seed = seg, w.wrap(f), int64(len(data)), seed
	w.segMu.Lock()
	w.segs[seg] = struct{}{}
	w.logBytes += seg.bytes
	if old != nil {
		old.sealed = true
	}
	w.segMu.Unlock()
	if old != nil {
		w.trim(old)
	}
	return nil
}

// newFile makes a synced file under a temporary name that begins with data. Its errors leave nothing behind.
func (w *wal) newFile(data []byte) (path string, err error) {
	path = filepath.Join(w.dir, "new.tmp")
	flags := os.O_RDWR
	reuse := w.takeSpare(path)
	if !reuse {
		flags |= os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return "", spaceError(err)
	}
	f := w.wrap(file)
	if !reuse {
		err = preallocate(file, w.segBytes)
	}
	if err == nil {
		_, err = f.WriteAt(data, 0)
	}
	if err != nil {
		return "", spaceError(errors.Join(err, f.Close(), os.Remove(path)))
	}
	if err := f.Datasync(); err != nil {
		return "", errors.Join(err, f.Close(), os.Remove(path))
	}
	return path, f.Close()
}

// takeSpare gives the spare file the name path, false if there is none. From then on trim may make another spare.
func (w *wal) takeSpare(path string) bool {
	w.segMu.Lock()
	defer w.segMu.Unlock()
	if !w.spare {
		return false
	}
	w.spare = false
	w.logBytes -= w.segBytes // rotate counts it again
	// The directory is synced before the file is written: after a power cut its old name must not lead to new content.
	return errors.Join(os.Rename(filepath.Join(w.dir, spareName), path), syncDir(w.dir)) == nil
}

func spaceError(err error) error {
	if isDiskFull(err) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// release tells that n writes of seg are applied.
func (w *wal) release(seg *segment, n int64) {
	if seg.live.Add(-n) == 0 {
		w.trim(seg)
	}
}

// trim removes seg if it is sealed and all applied, or keeps the file to be used again.
func (w *wal) trim(seg *segment) {
	w.segMu.Lock()
	_, exists := w.segs[seg]
	gone := exists && seg.sealed && seg.live.Load() == 0
	keep := false
	if gone {
		delete(w.segs, seg)
		keep = !w.spare && seg.bytes == w.segBytes
		if keep {
			keep = os.Rename(seg.path, filepath.Join(w.dir, spareName)) == nil
			w.spare = keep
		}
		if !keep {
			w.logBytes -= seg.bytes
		}
	}
	w.segMu.Unlock()
	if gone && !keep {
		_ = os.Remove(seg.path) // what stays is found, and skipped by the ledger, at the next Open
	}
}

func (w *wal) segments() (n int, bytes int64) {
	w.segMu.Lock()
	defer w.segMu.Unlock()
	return len(w.segs), w.logBytes
}
