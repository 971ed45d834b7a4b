package migrate

import (
	"crypto/rand"
	"fmt"
)

const (
	nanoidAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	nanoidLength   = 21
)

// newNanoID draws n characters of A-Z a-z 0-9 from crypto/rand. A byte over the last whole multiple of 62 is drawn again:
// a remainder of it would favour the first eight letters.
func newNanoID(n int) (string, error) {
	const limit = 256 - 256%len(nanoidAlphabet)
	out := make([]byte, 0, n)
	buf := make([]byte, n+n/4+1)
	for len(out) < n {
		if _, err := rand.Read(buf); err != nil {
			return "", fmt.Errorf("migrate: draw a nanoid: %w", err)
		}
		for _, b := range buf {
			if int(b) < limit && len(out) < n {
				out = append(out, nanoidAlphabet[int(b)%len(nanoidAlphabet)])
			}
		}
	}
	return string(out), nil
}
