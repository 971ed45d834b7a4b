package ws

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// decoder turns the bytes of a client into messages and control frames. It is fed by whoever reads the socket and
// keeps its own state between any two bytes, so it needs no goroutine: an event loop can feed it as well. It reserves
// memory as payload arrives, never for what a header announces.
type decoder struct {
	maxBytes int64 // of a message, after reassembly and inflation
	deflate  bool  // permessage-deflate was negotiated

	// The header of the current frame.
	head     [14]byte
	headLen  uint8
	headNeed uint8 // 0 before the first two bytes

	// The payload of the current frame.
	inFrame   bool
	frameFin  bool
	frameOp   byte
	maskPos   uint8
	maskKey   [4]byte
	remaining int64

	// The current message.
	inMessage  bool // a fragmented one has begun and not ended
	compressed bool
	typ        Type
	data       []byte
	text       utf8Check

	control    [maxControlBytes]byte
	controlLen uint8
}

// event is what a decoder found: a message, or a control frame.
type event struct {
	op     byte // 0 for nothing yet
	data   []byte
	code   int // of a close frame
	reason string
}

// next takes bytes from p until one event is complete or p is used up, and returns how many it took. It unmasks in
// place, so it overwrites p. The data of a message is new memory; that of a control frame is valid until the next call.
// After an error, always a *frameError, the decoder is of no more use.
func (d *decoder) next(p []byte) (used int, ev event, err error) {
	for {
		if !d.inFrame {
			n, err := d.readHead(p[used:])
			used += n
			if err != nil || !d.inFrame {
				return used, event{}, err
			}
		}
		n := int(min(int64(len(p)-used), d.remaining))
		piece := p[used : used+n]
		used += n
		if err := d.payload(piece); err != nil {
			return used, event{}, err
		}
		if d.remaining > 0 {
			return used, event{}, nil
		}
		d.inFrame = false
		ev, err := d.endFrame()
		if err != nil || ev.op != 0 {
			return used, ev, err
		}
		if used == len(p) {
			return used, event{}, nil
		}
	}
}

// readHead collects a header and checks it.
func (d *decoder) readHead(p []byte) (used int, err error) {
	for {
		need := 2
		if d.headNeed > 0 {
			need = int(d.headNeed)
		}
		n := copy(d.head[d.headLen:need], p[used:])
		used += n
		d.headLen += uint8(n)
		if int(d.headLen) < need {
			return used, nil
		}
		if d.headNeed > 0 {
			break
		}
		if err := d.checkStart(); err != nil {
			return used, err
		}
	}
	return used, d.beginFrame()
}

// checkStart judges the first two bytes and says how long the header is.
func (d *decoder) checkStart() error {
	first, second := d.head[0], d.head[1]
	op, fin, compressed := first&0xf, first&finBit != 0, first&rsv1Bit != 0
	if first&rsvOtherBits != 0 {
		return protocolError("RSV2 or RSV3 is set, no extension uses them")
	}
	if second&maskBit == 0 {
		return protocolError("a client's frame must be masked")
	}
	switch op {
	case opText, opBinary:
		if d.inMessage {
			return protocolError("a new message began inside a fragmented one")
		}
		if compressed && !d.deflate {
			return protocolError("RSV1 is set, no compression was negotiated")
		}
	case opContinuation:
		if !d.inMessage {
			return protocolError("a continuation without a message")
		}
		if compressed {
			return protocolError("RSV1 is set on a continuation")
		}
	case opClose, opPing, opPong:
		if !fin {
			return protocolError("a control frame must not be fragmented")
		}
		if compressed {
			return protocolError("RSV1 is set on a control frame")
		}
		if second&^maskBit > maxControlBytes {
			return protocolError("a control frame has more than 125 bytes")
		}
	default:
		return protocolError(fmt.Sprintf("opcode %d is reserved", op))
	}
	switch second &^ maskBit {
	case 126:
		d.headNeed = 2 + 2 + 4
	case 127:
		d.headNeed = 2 + 8 + 4
	default:
		d.headNeed = 2 + 4
	}
	return nil
}

// beginFrame takes the whole header in.
func (d *decoder) beginFrame() error {
	var n uint64
	switch d.headNeed {
	case 8:
		if n = uint64(binary.BigEndian.Uint16(d.head[2:])); n < 126 {
			return protocolError("a length is not in its shortest form")
		}
	case 14:
		n = binary.BigEndian.Uint64(d.head[2:])
		if n>>63 != 0 {
			return protocolError("a length has its highest bit set")
		}
		if n <= 0xffff {
			return protocolError("a length is not in its shortest form")
		}
	default:
		n = uint64(d.head[1] &^ maskBit)
	}
	copy(d.maskKey[:], d.head[d.headNeed-4:d.headNeed])
	d.frameFin, d.frameOp = d.head[0]&finBit != 0, d.head[0]&0xf
	first := d.head[0]
	d.headLen, d.headNeed = 0, 0
	d.inFrame, d.maskPos, d.remaining = true, 0, int64(n)
	if d.frameOp >= opClose {
		d.controlLen = 0
		return nil
	}
	if d.frameOp != opContinuation {
		d.typ, d.compressed, d.text = Type(d.frameOp), first&rsv1Bit != 0, utf8Check{}
		d.inMessage = true
	}
	if d.remaining > d.wireLimit()-int64(len(d.data)) {
		return &frameError{MessageTooBig, fmt.Sprintf("a message has more than %d bytes", d.maxBytes)}
	}
	return nil
}

// wireLimit is maxBytes and, for a compressed message, what deflate adds to bytes that it cannot shrink.
func (d *decoder) wireLimit() int64 {
	if d.compressed {
		return d.maxBytes + d.maxBytes>>10 + 64
	}
	return d.maxBytes
}

// payload takes a piece of the current frame's payload.
func (d *decoder) payload(p []byte) error {
	if d.frameOp >= opClose {
		n := copy(d.control[d.controlLen:], p)
		d.mask(d.control[d.controlLen : int(d.controlLen)+n])
		d.controlLen += uint8(n)
		return nil
	}
	at := len(d.data)
	d.reserve(len(p))
	d.data = append(d.data, p...)
	return d.took(at)
}

// room offers memory of at least min bytes into which payload can be read without a copy; tookRoom must follow. It is nil
// when less than min bytes of payload are due, or they are not a message's.
func (d *decoder) room(min int) []byte {
	if !d.inFrame || d.frameOp >= opClose || d.remaining < int64(min) {
		return nil
	}
	if cap(d.data)-len(d.data) < min {
		d.reserve(min)
	}
	end := int64(cap(d.data))
	if due := int64(len(d.data)) + d.remaining; due < end {
		end = due
	}
	return d.data[len(d.data):end]
}

// tookRoom takes in n bytes that were read into room, and answers like next.
func (d *decoder) tookRoom(n int) (event, error) {
	at := len(d.data)
	d.data = d.data[:at+n]
	if err := d.took(at); err != nil || d.remaining > 0 {
		return event{}, err
	}
	d.inFrame = false
	return d.endFrame()
}

// took unmasks and validates what was appended to data at at.
func (d *decoder) took(at int) error {
	p := d.data[at:]
	d.mask(p)
	if d.typ == Text && !d.compressed && !d.text.write(p) {
		return &frameError{InvalidPayload, "a text message is not valid UTF-8"}
	}
	return nil
}

func (d *decoder) mask(p []byte) {
	d.maskPos = uint8(unmask(p, d.maskKey, int(d.maskPos)))
	d.remaining -= int64(len(p))
}

// reserve makes room for n more bytes, of the remaining ones: by doubling, so that many fragments cost no more than one
// frame, but not beyond the end of the message when that is known.
func (d *decoder) reserve(n int) {
	if cap(d.data)-len(d.data) >= n {
		return
	}
	size := max(4096, 2*int64(cap(d.data)))
	if due := int64(len(d.data)) + d.remaining; d.frameFin || len(d.data) == 0 {
		size = min(size, due)
	}
	size = max(size, int64(len(d.data)+n))
	data := make([]byte, len(d.data), size)
	copy(data, d.data)
	d.data = data
}

// endFrame is called when a frame's payload is complete.
func (d *decoder) endFrame() (event, error) {
	switch d.frameOp {
	case opPing, opPong:
		return event{op: d.frameOp, data: d.control[:d.controlLen]}, nil
	case opClose:
		return d.endClose()
	}
	if !d.frameFin {
		return event{}, nil
	}
	data := d.data
	d.data, d.inMessage = nil, false
	if d.compressed {
		var err error
		if data, err = inflate(data, d.maxBytes); err != nil {
			return event{}, err
		}
		if d.typ == Text && !utf8.Valid(data) {
			return event{}, &frameError{InvalidPayload, "a text message is not valid UTF-8"}
		}
	} else if d.typ == Text && !d.text.complete() {
		return event{}, &frameError{InvalidPayload, "a text message ends inside a character"}
	}
	return event{op: byte(d.typ), data: data}, nil
}

func (d *decoder) endClose() (event, error) {
	p := d.control[:d.controlLen]
	if len(p) == 0 {
		return event{op: opClose, code: NoStatus}, nil
	}
	if len(p) == 1 {
		return event{}, protocolError("a close frame has half a code")
	}
	code := int(binary.BigEndian.Uint16(p))
	if !validCode(code) {
		return event{}, protocolError(fmt.Sprintf("close code %d may not be on the wire", code))
	}
	if !utf8.Valid(p[2:]) {
		return event{}, &frameError{InvalidPayload, "a close reason is not valid UTF-8"}
	}
	return event{op: opClose, code: code, reason: string(p[2:])}, nil
}

func protocolError(reason string) error { return &frameError{ProtocolError, reason} }
