package buffer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// A segment file is a header and then blocks, each padded to 8 bytes; one block is one group commit. All integers are
// little-endian.
//
//	header  0 magic [8]  8 crc u32  12 version u32  16 log identity [16]  32 sequence u64  40 prev LSN u64  48 zero [16]
//	block   0 magic u32  4 crc u32   8 length u32   12 records u32        16 first LSN u64 24 prev LSN u64  32 records
//	record  LSN minus first, uvarint; length of the body, uvarint; body
//
// The CRC-32C covers what follows it (of a block: rest of its header and length bytes) and is seeded with the
// log's identity and the segment's sequence number. So a file can be used again without being wiped, and bytes that a writer
// smuggles in as values cannot pass for a block. prev is the last LSN before: a hole in the chain is damage.
const (
	segmentMagic   = "ODACWAL\x01"
	segmentVersion = 1
	segmentHeader  = 64
	blockMagic     = 0x4b4c4244 // "DBLK"
	blockHeader    = 32
	segmentSuffix  = ".wal"
	spareName      = "spare.tmp"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type logID [16]byte

// segmentFile is what the log needs of a file; tests put faults in between.
type segmentFile interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// Datasync returns when the data written so far is on stable storage.
	Datasync() error
}

type osFile struct{ *os.File }

func (f osFile) Datasync() error { return datasync(f.File) }

// segment is one file of the log.
type segment struct {
	seq    uint64
	path   string
	bytes  int64        // size of the file
	live   atomic.Int64 // writes in it that are not applied
	sealed bool         // nothing will be added; guarded by wal.segMu
}

func segmentName(seq uint64) string { return fmt.Sprintf("%016x%s", seq, segmentSuffix) }

func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 16, 64)
	return seq, err == nil
}

func crcSeed(id logID, seq uint64) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, id[:]), castagnoli, binary.LittleEndian.AppendUint64(nil, seq))
}

func appendSegmentHeader(dst []byte, id logID, seq uint64, prev LSN) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, segmentVersion)
	dst = append(dst, id[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(prev))
	dst = append(dst, make([]byte, 16)...)
	h := dst[start:]
	binary.LittleEndian.PutUint32(h[8:], crc32.Checksum(h[12:], castagnoli))
	return dst
}

func parseSegmentHeader(h []byte) (id logID, seq uint64, prev LSN, err error) {
	switch {
	case len(h) < segmentHeader || string(h[:8]) != segmentMagic:
		return id, 0, 0, errors.New("not a log segment")
	case binary.LittleEndian.Uint32(h[8:]) != crc32.Checksum(h[12:segmentHeader], castagnoli):
		return id, 0, 0, errors.New("header checksum is wrong")
	case binary.LittleEndian.Uint32(h[12:]) != segmentVersion:
		return id, 0, 0, fmt.Errorf("format %d, this program reads %d", binary.LittleEndian.Uint32(h[12:]), segmentVersion)
	}
	return logID(h[16:32]), binary.LittleEndian.Uint64(h[32:]), LSN(binary.LittleEndian.Uint64(h[40:])), nil
}

// sealBlock completes a block whose records begin at blockHeader, and pads it.
func sealBlock(block []byte, seed uint32, records int, first, prev LSN) []byte {
	n := len(block) - blockHeader
	for len(block)%8 != 0 {
		block = append(block, 0)
	}
	le := binary.LittleEndian
	le.PutUint32(block[0:], blockMagic)
	le.PutUint32(block[8:], uint32(n))
	le.PutUint32(block[12:], uint32(records))
	le.PutUint64(block[16:], uint64(first))
	le.PutUint64(block[24:], uint64(prev))
	le.PutUint32(block[4:], crc32.Update(seed, castagnoli, block[8:blockHeader+n]))
	return block
}

// block is a parsed block.
type block struct {
	first   LSN
	prev    LSN
	count   int
	records []byte
	size    int // in the file, padding included
}

// parseBlock reads the block at the start of data, false if there is no valid one.
func parseBlock(data []byte, seed uint32) (block, bool) {
	le := binary.LittleEndian
	if len(data) < blockHeader || le.Uint32(data) != blockMagic {
		return block{}, false
	}
	n := int64(le.Uint32(data[8:]))
	size := (blockHeader + n + 7) &^ 7
	if size > int64(len(data)) || le.Uint32(data[4:]) != crc32.Update(seed, castagnoli, data[8:blockHeader+n]) {
		return block{}, false
	}
	return block{
		first: LSN(le.Uint64(data[16:])), prev: LSN(le.Uint64(data[24:])), count: int(le.Uint32(data[12:])),
		records: data[blockHeader : blockHeader+n], size: int(size),
	}, true
}

// findBlock gives the offset of the first valid block in data, -1 if there is none. Blocks are on multiples of 8 from
// the start of data.
func findBlock(data []byte, seed uint32) int {
	magic := binary.LittleEndian.AppendUint32(nil, blockMagic)
	for at := 0; ; {
		i := bytes.Index(data[at:], magic)
		if i < 0 {
			return -1
		}
		at += i
		if at%8 == 0 {
			if _, ok := parseBlock(data[at:], seed); ok {
				return at
			}
		}
		at++
	}
}

// eachRecord calls visit for every record of the block, and gives its last LSN.
func (b block) eachRecord(visit func(lsn LSN, body []byte) error) (last LSN, err error) {
	d := decoder{data: b.records}
	last = b.prev
	for range b.count {
		lsn := b.first + LSN(d.uvarint())
		body := d.take(d.uvarint())
		if d.bad || lsn <= last {
			return 0, errRecord
		}
		if err := visit(lsn, body); err != nil {
			return 0, err
		}
		last = lsn
	}
	if len(d.data) > 0 {
		return 0, errRecord
	}
	return last, nil
}

// syncDir makes renames and removals in dir durable.
func syncDir(dir string) error {
	if !canSyncDir {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func segmentPath(dir string, seq uint64) string { return filepath.Join(dir, segmentName(seq)) }
