package buffer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// openWAL recovers the log in dir, gives every write in it to replay, and starts a new segment. The committer is not
// running yet.
func openWAL(cfg Config, wrap func(*os.File) segmentFile, replay func(*segment, LSN, []byte) error) (*wal, error) {
	w := &wal{
		dir: cfg.Dir, segBytes: cfg.SegmentBytes, maxBytes: math.MaxInt64, wrap: wrap,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), segs: make(map[*segment]struct{}),
	}
	segs, err := w.list()
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		_, _ = rand.Read(w.id[:]) // never fails
	}
	r := recovery{wal: w, replay: replay}
	for _, seg := range segs {
		if err := r.read(seg); err != nil {
			return nil, err
		}
	}
	if len(segs) > 0 {
		w.active = segs[len(segs)-1]
		if err := r.cutTail(w.active); err != nil {
			return nil, err
		}
	}
	w.durable.Store(uint64(r.last))
	if err := w.rotate(nil); err != nil {
		if len(segs) > 0 && errors.Is(err, ErrDiskFull) {
			w.maxBytes = cfg.MaxLogBytes
			return w, nil // what is in the log can be applied, and makes room
		}
		return nil, fmt.Errorf("buffer: starting a log segment in %s: %w", cfg.Dir, err)
	}
	w.maxBytes = cfg.MaxLogBytes
	for _, seg := range segs {
		w.trim(seg) // those without writes
	}
	return w, nil
}

// list finds the segments in order and removes what a crash left half made.
func (w *wal) list() ([]*segment, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, fmt.Errorf("buffer: %w", err)
	}
	var segs []*segment
	for _, e := range entries {
		path := filepath.Join(w.dir, e.Name())
		seq, ok := parseSegmentName(e.Name())
		switch {
		case filepath.Ext(path) == ".tmp":
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("buffer: %w", err)
			}
		case ok:
			info, err := e.Info()
			if err != nil {
				return nil, fmt.Errorf("buffer: %w", err)
			}
			seg := &segment{seq: seq, path: path, bytes: info.Size(), sealed: true}
			segs = append(segs, seg)
			w.segs[seg] = struct{}{}
			w.logBytes += seg.bytes
		}
	}
	slices.SortFunc(segs, func(a, b *segment) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	return segs, nil
}

// recovery reads segments in order.
type recovery struct {
	wal    *wal
	replay func(*segment, LSN, []byte) error
	last   LSN    // of the last write read
	path   string // of the last segment read
	seq    uint64
	end    int64 // where its blocks end
}

func (r *recovery) read(seg *segment) error {
	data, err := os.ReadFile(seg.path)
	if err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	id, seq, prev, err := parseSegmentHeader(data)
	if err != nil {
		return &CorruptError{File: seg.path, Reason: err.Error()}
	}
	if r.path == "" {
		r.wal.id = id
	}
	switch {
	case seq != seg.seq || id != r.wal.id:
		return &CorruptError{File: seg.path, Reason: "the segment belongs to another log or place"}
	case r.path != "" && seq == r.seq+1 && prev != r.last:
		return &CorruptError{File: r.path, Offset: r.end, Reason: fmt.Sprintf("writes %d to %d are missing", r.last+1, prev)}
	case prev < r.last:
		return &CorruptError{File: seg.path, Reason: fmt.Sprintf("begins after write %d, but %d was read before", prev, r.last)}
	}
	r.path, r.seq, r.last = seg.path, seq, prev
	seed := crcSeed(id, seq)
	at := segmentHeader
	for {
		b, ok := parseBlock(data[at:], seed)
		if !ok {
			break
		}
		if b.prev != r.last {
			return &CorruptError{File: seg.path, Offset: int64(at), Reason: fmt.Sprintf("block follows write %d, but %d was read before", b.prev, r.last)}
		}
		last, err := b.eachRecord(func(lsn LSN, body []byte) error { return r.replay(seg, lsn, body) })
		if err != nil {
			return &CorruptError{File: seg.path, Offset: int64(at), Reason: err.Error()}
		}
		r.last = last
		at += b.size
	}
	r.end = int64(at)
	// Each block was synced before the next was written: a valid one further on proves that this one was whole.
	if i := findBlock(data[at:], seed); i >= 0 {
		return &CorruptError{File: seg.path, Offset: int64(at), Reason: fmt.Sprintf("damaged block, the next sound one is at %d", at+i)}
	}
	return nil
}

// cutTail ends the newest segment after its last sound block and makes sure that what was read is on disk: it may have
// been in the kernel's memory only when the process died.
func (r *recovery) cutTail(seg *segment) error {
	f, err := os.OpenFile(seg.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	if err := errors.Join(f.Truncate(r.end), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("buffer: %w", err)
	}
	r.wal.segMu.Lock()
	r.wal.logBytes += r.end - seg.bytes
	seg.bytes = r.end
	r.wal.segMu.Unlock()
	return nil
}
