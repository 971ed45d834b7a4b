package ws

import "unicode/utf8"

// utf8Check validates text that arrives in pieces and fails at the first byte that cannot be right, as RFC 6455
// section 8.1 wishes. The zero value is ready.
type utf8Check struct {
	part [utf8.UTFMax]byte // the beginning of a rune
	n    uint8
}

// write reports whether what came so far can still be valid.
func (u *utf8Check) write(p []byte) bool {
	for u.n > 0 {
		if len(p) == 0 {
			return true
		}
		u.part[u.n] = p[0]
		u.n++
		p = p[1:]
		if !utf8.FullRune(u.part[:u.n]) {
			continue
		}
		if r, size := utf8.DecodeRune(u.part[:u.n]); r == utf8.RuneError && size == 1 {
			return false
		}
		u.n = 0
	}
	tail := incompleteTail(p)
	u.n = uint8(copy(u.part[:], p[len(p)-tail:]))
	return utf8.Valid(p[:len(p)-tail])
}

// complete reports whether no rune is cut off.
func (u *utf8Check) complete() bool { return u.n == 0 }

// incompleteTail counts the bytes at the end of p that begin a rune without ending it.
func incompleteTail(p []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if last := p[len(p)-i:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return i
		}
	}
	return 0
}
