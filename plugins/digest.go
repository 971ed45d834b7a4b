package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Digest names a bundle by its bytes: "sha256:" and 64 lower-case hexadecimal digits.
type Digest string

const digestPrefix = "sha256:"

// DigestOf is the digest of a bundle's bytes.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// ParseDigest checks a digest that somebody typed or sent; its hexadecimal part alone will do.
func ParseDigest(s string) (Digest, error) {
	d := Digest(digestPrefix + strings.TrimPrefix(s, digestPrefix))
	if !d.valid() {
		return "", fmt.Errorf("plugins: %q is not a digest: write sha256: and 64 hexadecimal digits", s)
	}
	return d, nil
}

// Hex is the digest without "sha256:".
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// Short is enough of the digest for people: its first 12 hexadecimal digits.
func (d Digest) Short() string { return d.Hex()[:min(12, len(d.Hex()))] }

func (d Digest) valid() bool {
	h := d.Hex()
	return len(d) == len(digestPrefix)+2*sha256.Size && len(h) == 2*sha256.Size && strings.Trim(h, "0123456789abcdef") == ""
}
