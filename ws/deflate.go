package ws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// permessage-deflate, RFC 7692 section 7.2, without context takeover: each message stands alone, so a connection keeps no
// window and a broadcast is compressed once for all.

// syncTail ends a sync flush; a sender strikes it off and a receiver puts it back.
var syncTail = []byte{0x00, 0x00, 0xff, 0xff}

// inflateTail is the sync flush's and a final empty block, so that the reader sees an end.
var inflateTail = []byte{0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// inflate returns what data says, at most limit bytes. It may write behind data.
func inflate(data []byte, limit int64) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(append(data, inflateTail...)), nil); err != nil {
		return nil, &frameError{InvalidPayload, "a compressed message cannot be inflated"}
	}
	out := make([]byte, 0, min(int64(len(data))*4+64, limit+1))
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if int64(len(out)) > limit {
			return nil, &frameError{MessageTooBig, fmt.Sprintf("a message has more than %d bytes", limit)}
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, &frameError{InvalidPayload, "a compressed message cannot be inflated"}
		}
	}
}

// deflateLevel is the fastest: what sockets carry is small, and the time is spent for each message.
const deflateLevel = flate.BestSpeed

type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, deflateLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &deflater{w: w}
}}

// deflateFrame returns a compressed frame, or nil when that would not be smaller.
func deflateFrame(op byte, payload []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	if _, err := d.w.Write(payload); err != nil {
		return nil
	}
	if err := d.w.Flush(); err != nil {
		return nil
	}
	small := bytes.TrimSuffix(d.out.Bytes(), syncTail)
	if len(small) >= len(payload) {
		return nil
	}
	frame := encodeFrame(op, true, small)
	if d.out.Cap() > 1<<20 {
		d.out = bytes.Buffer{}
	}
	return frame
}
