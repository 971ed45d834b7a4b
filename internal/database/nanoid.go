package database

import "crypto/rand"

const (
	nanoidAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	nanoidLength   = 21
	maxNanoid      = 255
)

// newNanoid draws n characters from crypto/rand. Six bits name a letter of the 62 or are thrown away, so that all are equally likely.
func newNanoid(n int) string {
	var id, random [maxNanoid]byte
	for at := 0; at < n; {
		// A draw of a quarter more than is missing is enough nine times in ten.
		chunk := random[:min(maxNanoid, (n-at)*5/4+1)]
		_, _ = rand.Read(chunk) // never fails: it ends the program instead
		for _, b := range chunk {
			if b &= 63; int(b) < len(nanoidAlphabet) && at < n {
				id[at] = nanoidAlphabet[b]
				at++
			}
		}
	}
	return string(id[:n])
}
