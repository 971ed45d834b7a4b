package ws

import (
	"fmt"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

func quoteHex(s string) string { return fmt.Sprintf("% x", s) }

// deflated is a compressed payload without its tail.
func deflated(s string) string {
	f := deflateFrame(opBinary, []byte(s))
	switch f[1] {
	case 126:
		return string(f[4:])
	case 127:
		return string(f[10:])
	}
	return string(f[2:])
}
