package buffer

import "os"

// SegmentFile is what the log needs of a file.
type SegmentFile = segmentFile

// OSFile is the real one.
func OSFile(f *os.File) SegmentFile { return osFile{f} }

// OpenWith opens with faults between the log and its files.
func OpenWith(cfg Config, wrap func(*os.File) SegmentFile) (*Buffer, error) { return open(cfg, wrap) }
