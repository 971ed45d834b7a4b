package ws

import (
	"strings"
	"testing"
)

const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"

// rule is one case of RFC 6455 or 7692: what the client sends, and which frames come back before the end.
type ruleCase struct {
	name    string
	in      []byte
	want    []string
	deflate bool
}

func join(frames ...[]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

// Shorthand for the first byte of a frame.
const (
	fin        = 0x80
	text       = 0x1
	binaryOp   = 0x2
	closeNow   = fin | opClose
	finText    = fin | text
	finBinary  = fin | binaryOp
	finPing    = fin | opPing
	finPong    = fin | opPong
	finContinu = fin | opContinuation
	rsv1       = 0x40
	rsv2       = 0x20
	rsv3       = 0x10
)

var (
	bye        = frame(closeNow, closePayload(1000, ""))
	violation  = []string{"88 1002", "EOF"}
	badPayload = []string{"88 1007", "EOF"}
	tooBig     = []string{"88 1009", "EOF"}
)

func echoed(frames ...string) []string { return append(frames, "88 1000", "EOF") }

const (
	deflatedHello = "\xf2\x48\xcd\xc9\xc9\x07\x00" // RFC 7692 section 7.2.3.1
	storedHello   = "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"
	finalHello    = "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"
)

func rules() []ruleCase {
	big := strings.Repeat("*", 65536)
	cases := []ruleCase{
		// Messages, section 5.6.
		{name: "text", in: join(frame(finText, "Hello"), bye), want: echoed("81 Hello")},
		{name: "text, empty", in: join(frame(finText, ""), bye), want: echoed("81")},
		{name: "binary", in: join(frame(finBinary, "\x00\xff"), bye), want: echoed("82 \x00\xff")},
		{name: "binary, empty", in: join(frame(finBinary, ""), bye), want: echoed("82")},
		{name: "two messages in one segment", in: join(frame(finText, "a"), frame(finBinary, "b"), bye), want: echoed("81 a", "82 b")},
		{name: "zero masking key", in: join(maskedFrame(finText, "Hello", [4]byte{}), bye), want: echoed("81 Hello")},

		// Masking, section 5.1.
		{name: "not masked", in: []byte{finText, 1, 'a'}, want: violation},
		{name: "not masked, control", in: []byte{finPing, 0}, want: violation},

		// RSV bits, section 5.2.
		{name: "RSV1 without extension", in: frame(finText|rsv1, "a"), want: violation},
		{name: "RSV2", in: frame(finText|rsv2, "a"), want: violation},
		{name: "RSV3", in: frame(finText|rsv3, "a"), want: violation},
		{name: "all RSV", in: frame(finBinary|rsv1|rsv2|rsv3, "a"), want: violation},
		{name: "RSV1 on ping", in: frame(finPing|rsv1, ""), want: violation},
		{name: "RSV2 on ping", in: frame(finPing|rsv2, ""), want: violation},
		{name: "RSV3 on close", in: frame(closeNow|rsv3, ""), want: violation},
		{name: "RSV on the second message", in: join(frame(finText, "a"), frame(finText|rsv2, "b")), want: append([]string{"81 a"}, violation...)},

		// Lengths, section 5.2: the shortest form, 63 bits.
		{name: "16 bit length for 125", in: []byte{finText, 0x80 | 126, 0, 125, 0, 0, 0, 0}, want: violation},
		{name: "64 bit length for 65535", in: []byte{finText, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, want: violation},
		{name: "64 bit length with the highest bit", in: []byte{finText, 0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, want: violation},
		{name: "64 bit length, largest", in: []byte{finText, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, want: tooBig},

		// Control frames, section 5.5.
		{name: "ping", in: join(frame(finPing, ""), bye), want: echoed("8a")},
		{name: "ping with data", in: join(frame(finPing, "abc"), bye), want: echoed("8a abc")},
		{name: "ping with 125 bytes", in: join(frame(finPing, strings.Repeat("p", 125)), bye), want: echoed("8a " + strings.Repeat("p", 125))},
		{name: "ping with 126 bytes", in: frame(finPing, strings.Repeat("p", 126)), want: violation},
		{name: "pong with 126 bytes", in: frame(finPong, strings.Repeat("p", 126)), want: violation},
		{name: "close with 126 bytes", in: frame(closeNow, closePayload(1000, strings.Repeat("p", 124))), want: violation},
		{name: "ping, fragmented", in: frame(opPing, "a"), want: violation},
		{name: "pong, fragmented", in: frame(opPong, "a"), want: violation},
		{name: "close, fragmented", in: frame(opClose, ""), want: violation},
		{name: "unsolicited pong", in: join(frame(finPong, "x"), frame(finText, "a"), bye), want: echoed("81 a")},
		{
			name: "ten pings", in: join(frame(finPing, "0"), frame(finPing, "1"), frame(finPing, "2"), frame(finPing, "3"), frame(finPing, "4"),
				frame(finPing, "5"), frame(finPing, "6"), frame(finPing, "7"), frame(finPing, "8"), frame(finPing, "9"), bye),
			want: echoed("8a 0", "8a 1", "8a 2", "8a 3", "8a 4", "8a 5", "8a 6", "8a 7", "8a 8", "8a 9"),
		},

		// Fragments, section 5.4.
		{name: "two fragments", in: join(frame(text, "ab"), frame(finContinu, "cd"), bye), want: echoed("81 abcd")},
		{name: "three fragments, binary", in: join(frame(binaryOp, "a"), frame(opContinuation, "b"), frame(finContinu, "c"), bye), want: echoed("82 abc")},
		{name: "empty fragments", in: join(frame(text, ""), frame(opContinuation, ""), frame(finContinu, ""), bye), want: echoed("81")},
		{name: "empty first and last", in: join(frame(text, ""), frame(opContinuation, "x"), frame(finContinu, ""), bye), want: echoed("81 x")},
		{name: "ping between fragments", in: join(frame(text, "ab"), frame(finPing, "p"), frame(finContinu, "cd"), bye), want: echoed("8a p", "81 abcd")},
		{name: "continuation without a message", in: frame(finContinu, "a"), want: violation},
		{name: "continuation without a message, not final", in: frame(opContinuation, "a"), want: violation},
		{name: "continuation after a whole message", in: join(frame(finText, "a"), frame(finContinu, "b")), want: append([]string{"81 a"}, violation...)},
		{name: "text inside a fragmented message", in: join(frame(text, "a"), frame(finText, "b")), want: violation},
		{name: "fragmented text inside a fragmented message", in: join(frame(text, "a"), frame(text, "b")), want: violation},
		{name: "binary inside fragmented text", in: join(frame(text, "a"), frame(finBinary, "b")), want: violation},
		{name: "close between fragments", in: join(frame(text, "a"), bye), want: echoed()},

		// Sizes: the test's limit is 100,000 bytes.
		{name: "as large as may be", in: join(frame(finBinary, big+big[:34464]), bye), want: echoed("82 " + big + big[:34464])},
		{name: "one byte too large", in: frame(finBinary, big+big[:34465])[:20], want: tooBig},
		{name: "fragments too large together", in: join(frame(binaryOp, big), frame(finContinu, big)), want: tooBig},

		// UTF-8, section 8.1.
		{name: "UTF-8", in: join(frame(finText, "κόσμε 🎉"), bye), want: echoed("81 κόσμε 🎉")},
		{name: "UTF-8, rune over fragments", in: join(frame(text, "\xf0\x9f"), frame(opContinuation, "\x8e"), frame(finContinu, "\x89"), bye), want: echoed("81 🎉")},
		{name: "UTF-8, ping inside a rune", in: join(frame(text, "\xf0"), frame(finPing, ""), frame(finContinu, "\x9f\x8e\x89"), bye), want: echoed("8a", "81 🎉")},
		{name: "UTF-8, ends inside a rune", in: frame(finText, "ab\xf0\x9f\x8e"), want: badPayload},
		{name: "UTF-8, last fragment ends inside a rune", in: join(frame(text, "a"), frame(finContinu, "\xce")), want: badPayload},
		{name: "UTF-8, wrong in the first fragment", in: frame(text, "\xce\xba\xe1\xbd\xb9\xed\xa0\x80"), want: badPayload},
		{name: "UTF-8, wrong in an unfinished frame", in: frame(finText, "a\xf4\x90"+strings.Repeat("x", 100))[:9], want: badPayload},
		{name: "invalid bytes are fine in binary", in: join(frame(finBinary, "\xff\xfe"), bye), want: echoed("82 \xff\xfe")},

		// Closing, sections 5.5.1 and 7.
		{name: "close without a code", in: frame(closeNow, ""), want: []string{"88", "EOF"}},
		{name: "close with half a code", in: frame(closeNow, "\x03"), want: violation},
		{name: "close with a reason", in: frame(closeNow, closePayload(1000, "done")), want: echoed()},
		{name: "close with the longest reason", in: frame(closeNow, closePayload(1000, strings.Repeat("r", 123))), want: echoed()},
		{name: "close with an invalid reason", in: frame(closeNow, closePayload(1000, "\xce\xba\xff")), want: badPayload},
		{name: "close with a cut rune", in: frame(closeNow, closePayload(1000, "\xce")), want: badPayload},
		{name: "text after close", in: join(bye, frame(finText, "late")), want: echoed()},
		{name: "ping after close", in: join(bye, frame(finPing, "late")), want: echoed()},
		{name: "second close", in: join(bye, bye), want: echoed()},
		{name: "rubbish after close", in: join(bye, []byte("\xff\xff\xff")), want: echoed()},
		{name: "text after a violation", in: join(frame(finText|rsv3, "a"), frame(finText, "late")), want: violation},

		// permessage-deflate, RFC 7692.
		{name: "deflate", deflate: true, in: join(frame(finText|rsv1, deflatedHello), bye), want: echoed("81 Hello")},
		{name: "deflate, stored block", deflate: true, in: join(frame(finText|rsv1, storedHello), bye), want: echoed("81 Hello")},
		{name: "deflate, final block", deflate: true, in: join(frame(finText|rsv1, finalHello), bye), want: echoed("81 Hello")},
		{name: "deflate, two blocks", deflate: true, in: join(frame(finText|rsv1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), bye), want: echoed("81 Hello")},
		{name: "deflate, empty", deflate: true, in: join(frame(finText|rsv1, "\x00"), bye), want: echoed("81")},
		{name: "deflate, no bytes", deflate: true, in: frame(finText|rsv1, ""), want: badPayload},
		{name: "deflate, not used", deflate: true, in: join(frame(finText, "Hello"), bye), want: echoed("81 Hello")},
		{name: "deflate, fragmented", deflate: true, in: join(frame(text|rsv1, deflatedHello[:3]), frame(finContinu, deflatedHello[3:]), bye), want: echoed("81 Hello")},
		{name: "deflate, ping between fragments", deflate: true, in: join(frame(text|rsv1, deflatedHello[:3]), frame(finPing, ""), frame(finContinu, deflatedHello[3:]), bye), want: echoed("8a", "81 Hello")},
		{name: "deflate, no context is kept", deflate: true, in: join(frame(finText|rsv1, deflatedHello), frame(finText|rsv1, "\xf2\x00\x11\x00\x00")), want: append([]string{"81 Hello"}, badPayload...)},
		{name: "deflate, corrupt", deflate: true, in: frame(finBinary|rsv1, "\xff\xff"), want: badPayload},
		{name: "deflate, invalid UTF-8", deflate: true, in: frame(finText|rsv1, "\x00\x01\x00\xfe\xff\xff\x00"), want: badPayload},
		{name: "deflate, RSV1 on continuation", deflate: true, in: join(frame(text|rsv1, deflatedHello[:3]), frame(finContinu|rsv1, deflatedHello[3:])), want: violation},
		{name: "deflate, RSV1 on ping", deflate: true, in: frame(finPing|rsv1, ""), want: violation},
		{name: "deflate, RSV1 on close", deflate: true, in: frame(closeNow|rsv1, ""), want: violation},
		{name: "deflate, RSV2", deflate: true, in: frame(finText|rsv2, "a"), want: violation},
		{name: "deflate, RSV3 with RSV1", deflate: true, in: frame(finText|rsv1|rsv3, deflatedHello), want: violation},
		{name: "deflate, bomb", deflate: true, in: frame(finBinary|rsv1, deflated(strings.Repeat("\x00", 10_000_000))), want: tooBig},
	}
	for _, n := range []int{125, 126, 127, 128, 65535, 65536} {
		cases = append(cases,
			ruleCase{name: "text of " + itoa(n), in: join(frame(finText, big[:n]), bye), want: echoed("81 " + big[:n])},
			ruleCase{name: "binary of " + itoa(n), in: join(frame(finBinary, big[:n]), bye), want: echoed("82 " + big[:n])})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			ruleCase{name: "reserved opcode " + itoa(int(op)), in: frame(fin|op, ""), want: violation},
			ruleCase{name: "reserved opcode with data " + itoa(int(op)), in: join(frame(finText, "a"), frame(fin|op, "b")), want: append([]string{"81 a"}, violation...)})
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases, ruleCase{name: "close code " + itoa(code), in: frame(closeNow, closePayload(code, "")), want: []string{"88 " + itoa(code), "EOF"}})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, ruleCase{name: "close code " + itoa(code), in: frame(closeNow, closePayload(code, "")), want: violation})
	}
	for _, s := range []string{
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xc1\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf4\x90\x80\x80", "\xfe", "\xff", "\x80", "\xbf\x80", "\xc3(", "\xe2\x82(", "\xf0\x9f\x8e(", "\xf5\x80\x80\x80",
	} {
		cases = append(cases, ruleCase{name: "invalid UTF-8 " + quoteHex(s), in: frame(finText, "ok "+s+" after"), want: badPayload})
	}
	for _, s := range []string{"\u0000", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0010ffff"} {
		cases = append(cases, ruleCase{name: "valid UTF-8 " + quoteHex(s), in: join(frame(finText, "<"+s+">"), bye), want: echoed("81 <" + s + ">")})
	}
	return cases
}

// TestConformance plays each rule whole, and again byte by byte.
func TestConformance(t *testing.T) {
	s := serve(t, Config{MaxConnsPerAddress: -1}, Options{MaxMessageBytes: 100_000})
	for _, rule := range rules() {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			s := &server{t, s.hub, s.http, s.addr}
			extra := ""
			if rule.deflate {
				extra = deflateOffer
			}
			p := s.upgraded(extra)
			p.send(rule.in)
			p.expect(rule.want...)
			if len(rule.in) > 1000 {
				return
			}
			p = s.upgraded(extra)
			for i := range rule.in {
				if _, err := p.Write(rule.in[i : i+1]); err != nil {
					break // the server has had enough of it
				}
			}
			p.expect(rule.want...)
		})
	}
}

// TestFailsAtTheByte: what cannot become right is refused before the rest of it comes.
func TestFailsAtTheByte(t *testing.T) {
	for name, in := range map[string][]byte{
		"reserved opcode":          {finText | 3},
		"second byte of overlong":  frame(finText, "\xe0\x80\x80 and more")[:8],
		"header of a large frame":  {finBinary, 0x80 | 127, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0},
		"control frame too long":   {finPing, 0x80 | 126},
		"not masked, no data seen": {finText, 5},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "reserved opcode" {
				in = append(in, 0x80)
			}
			d := decoder{maxBytes: 1000}
			used, _, err := d.next(append([]byte(nil), in...))
			if err == nil || used != len(in) {
				t.Errorf("took %d of %d bytes and said %v", used, len(in), err)
			}
		})
	}
}

func TestFragmentsAreReassembledInLinearTime(t *testing.T) {
	d := decoder{maxBytes: 1 << 20}
	var in []byte
	in = append(in, frame(binaryOp, "")...)
	for range 1 << 16 {
		in = append(in, frame(opContinuation, "0123456789abcdef")...)
	}
	in = append(in, frame(finContinu, "")...)
	allocs := testing.AllocsPerRun(1, func() {
		d = decoder{maxBytes: 1 << 20}
		p := append([]byte(nil), in...)
		n, ev, err := d.next(p)
		if err != nil || n != len(in) || len(ev.data) != 1<<20 {
			t.Fatalf("took %d bytes, %d of data, %v", n, len(ev.data), err)
		}
	})
	if allocs > 100 {
		t.Errorf("%v allocations for 65,536 fragments", allocs)
	}
}

// TestMemoryFollowsArrival: a header that announces much reserves little.
func TestMemoryFollowsArrival(t *testing.T) {
	d := decoder{maxBytes: 1 << 40}
	if _, _, err := d.next([]byte{finBinary, 0x80 | 127, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 'x'}); err != nil {
		t.Fatal(err)
	}
	if room := d.room(1024); cap(d.data) > 16<<10 || len(room) > 16<<10 {
		t.Errorf("one byte of 64 GiB reserved %d bytes", cap(d.data))
	}
}
