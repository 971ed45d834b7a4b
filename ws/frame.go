package ws

import (
	"encoding/binary"
	"unicode/utf8"
)

// Opcodes of RFC 6455 section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const (
	finBit          = 0x80
	rsv1Bit         = 0x40
	rsvOtherBits    = 0x30
	maskBit         = 0x80
	maxControlBytes = 125
	maxHeaderBytes  = 10 // of a server's frame: it has no masking key
)

// appendHeader appends the header of a server's frame: final, not masked, length in its shortest form.
func appendHeader(b []byte, op byte, compressed bool, n int) []byte {
	first := finBit | op
	if compressed {
		first |= rsv1Bit
	}
	switch {
	case n <= maxControlBytes:
		return append(b, first, byte(n))
	case n <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(n))
	}
}

// encodeFrame returns a frame of its own bytes.
func encodeFrame(op byte, compressed bool, payload []byte) []byte {
	b := make([]byte, 0, maxHeaderBytes+len(payload))
	return append(appendHeader(b, op, compressed, len(payload)), payload...)
}

// encodeClose returns a close frame. The code NoStatus gives one without a code; the reason is cut to fit, between runes.
func encodeClose(code int, reason string) []byte {
	if code == NoStatus {
		return encodeFrame(opClose, false, nil)
	}
	p := binary.BigEndian.AppendUint16(make([]byte, 0, maxControlBytes), uint16(code))
	return encodeFrame(opClose, false, append(p, cutReason(reason)...))
}

func cutReason(reason string) string {
	if len(reason) <= maxReasonBytes {
		return reason
	}
	n := maxReasonBytes
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

// unmask xors p with the key, whose first byte to use is pos. It returns the position after p.
func unmask(p []byte, key [4]byte, pos int) int {
	k := [8]byte{}
	for i := range k {
		k[i] = key[(pos+i)&3]
	}
	word := binary.LittleEndian.Uint64(k[:])
	end := (pos + len(p)) & 3
	for len(p) >= 32 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])^word)
		binary.LittleEndian.PutUint64(p[16:], binary.LittleEndian.Uint64(p[16:])^word)
		binary.LittleEndian.PutUint64(p[24:], binary.LittleEndian.Uint64(p[24:])^word)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^word)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= k[i]
	}
	return end
}
