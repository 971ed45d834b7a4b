package ws

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"unicode/utf8"
)

type seen struct {
	op     byte
	data   string
	code   int
	reason string
}

// decodeAll feeds in pieces of the given size, 0 for all at once.
func decodeAll(in []byte, deflate bool, piece int) (events []seen, failed string) {
	d := decoder{maxBytes: 1 << 16, deflate: deflate}
	rest := bytes.Clone(in)
	for len(rest) > 0 {
		p := rest
		if piece > 0 {
			p = rest[:min(piece, len(rest))]
		}
		n, ev, err := d.next(p)
		rest = rest[n:]
		if err != nil {
			fe := asFrameError(err)
			return events, itoa(fe.code)
		}
		if ev.op != 0 {
			events = append(events, seen{ev.op, string(ev.data), ev.code, ev.reason})
		}
		if n == 0 && ev.op == 0 && len(p) > 0 {
			panic("no progress")
		}
	}
	return events, ""
}

// FuzzDecoder: whatever comes, in whatever pieces, there is no panic and the same outcome; text is UTF-8; what is found can be
// sent and found again.
func FuzzDecoder(f *testing.F) {
	for _, rule := range rules() {
		if len(rule.in) < 5000 {
			f.Add(rule.in, rule.deflate, uint8(1))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, deflate bool, piece uint8) {
		whole, failed := decodeAll(in, deflate, 0)
		pieces, failedToo := decodeAll(in, deflate, int(piece))
		if failed != failedToo || len(whole) != len(pieces) {
			t.Fatalf("whole: %d events and %q, in pieces: %d and %q", len(whole), failed, len(pieces), failedToo)
		}
		var again []byte
		for i, ev := range whole {
			if ev != pieces[i] {
				t.Fatalf("event %d is %v whole and %v in pieces", i, ev, pieces[i])
			}
			if ev.op == opText && !utf8.ValidString(ev.data) || len(ev.data) > 1<<16 {
				t.Fatalf("event %d should have been refused", i)
			}
			switch {
			case ev.op == opClose && ev.code == NoStatus:
				again = append(again, frame(closeNow, "")...)
			case ev.op == opClose:
				again = append(again, frame(closeNow, closePayload(ev.code, ev.reason))...)
			default:
				again = append(again, frame(fin|ev.op, ev.data)...)
			}
		}
		if echoed, failed := decodeAll(again, false, 0); failed != "" || len(echoed) != len(whole) {
			t.Fatalf("%d events came back as %d, %s", len(whole), len(echoed), failed)
		}
	})
}

// FuzzDecoderRoom reads straight into the decoder's memory where it offers some, with the same outcome.
func FuzzDecoderRoom(f *testing.F) {
	f.Add(join(frame(finBinary, "0123456789"), frame(text, "abcdefgh"), frame(finContinu, "ijklmnop")), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		want, wantFailed := decodeAll(in, true, 0)
		size := int(piece) + 1
		d := decoder{maxBytes: 1 << 16, deflate: true}
		var got []seen
		failed := ""
		note := func(ev event, err error) {
			if err != nil {
				failed = itoa(asFrameError(err).code)
			} else if ev.op != 0 {
				got = append(got, seen{ev.op, string(ev.data), ev.code, ev.reason})
			}
		}
		for rest := bytes.Clone(in); len(rest) > 0 && failed == ""; {
			if room := d.room(size); room != nil {
				n := copy(room, rest)
				rest = rest[n:]
				note(d.tookRoom(n))
				continue
			}
			for p := rest[:min(size, len(rest))]; len(p) > 0 && failed == ""; {
				n, ev, err := d.next(p)
				p, rest = p[n:], rest[n:]
				note(ev, err)
			}
		}
		if failed != wantFailed || len(got) != len(want) {
			t.Fatalf("%d events and %q, want %d and %q", len(got), failed, len(want), wantFailed)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("event %d is %v, want %v", i, got[i], want[i])
			}
		}
	})
}

// FuzzUTF8 compares with the standard library, at every split.
func FuzzUTF8(f *testing.F) {
	f.Add("κόσμε\xf0\x9f\x8e\x89", uint8(3))
	f.Fuzz(func(t *testing.T, s string, split uint8) {
		at := min(int(split), len(s))
		var u utf8Check
		if got := u.write([]byte(s[:at])) && u.write([]byte(s[at:])) && u.complete(); got != utf8.ValidString(s) {
			t.Errorf("%q split at %d: %v", s, at, got)
		}
	})
}

// FuzzUnmask compares with the definition of RFC 6455 section 5.3.
func FuzzUnmask(f *testing.F) {
	f.Add([]byte("0123456789012345678901234567890123456789"), uint32(0x01020304), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, k uint32, pos uint8) {
		key := [4]byte{byte(k), byte(k >> 8), byte(k >> 16), byte(k >> 24)}
		got := bytes.Clone(in)
		end := unmask(got, key, int(pos&3))
		for i := range in {
			if got[i] != in[i]^key[(int(pos&3)+i)&3] {
				t.Fatalf("byte %d of %d", i, len(in))
			}
		}
		if end != (int(pos&3)+len(in))&3 {
			t.Errorf("position %d afterwards", end)
		}
	})
}

// FuzzExtensions: what is accepted never names what we cannot do.
func FuzzExtensions(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits, x; y=\"z\"")
	f.Add(`permessage-deflate; server_max_window_bits="15"`)
	f.Fuzz(func(t *testing.T, header string) {
		offers, ok := parseExtensions(header)
		if ok != (len(offers) > 0) {
			t.Fatalf("%d offers, %v", len(offers), ok)
		}
		for _, o := range offers {
			if !isToken(o.name) {
				t.Fatalf("name %q is no token", o.name)
			}
		}
		const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		if answer, ok := negotiateDeflate(offers); ok && answer != plain && answer != plain+"; server_max_window_bits=15" {
			t.Fatalf("answered %q", answer)
		}
	})
}

// FuzzHandshake: any header leads to an answer, and what is chosen is ours.
func FuzzHandshake(f *testing.F) {
	f.Add("13", "dGhlIHNhbXBsZSBub25jZQ==", "http://example.com", "v1, token.x", "permessage-deflate")
	f.Fuzz(func(t *testing.T, version, key, origin, protocol, extensions string) {
		r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
		r.Header = http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Version": {version}, "Sec-Websocket-Key": {key},
			"Origin": {origin}, "Sec-Websocket-Protocol": {protocol}, "Sec-Websocket-Extensions": {extensions},
		}
		h, bad := checkRequest(r, &Options{Subprotocols: []string{"v1"}})
		if bad != nil {
			if bad.Status < 400 || bad.Reason == "" {
				t.Fatalf("refused with %v", bad)
			}
			return
		}
		if version != "13" || h.subprotocol != "" && h.subprotocol != "v1" || len(h.accept) != 28 {
			t.Fatalf("accepted %q: %+v", version, h)
		}
	})
}
