package cache

import (
	"crypto/sha256"
	"encoding/binary"
)

// Key identifies what a read asks for.
type Key [16]byte

// KeyOf makes a key of all that decides the result of a read: tenant, connection, plugin, session settings, the query and its typed
// arguments, each encoded in one way only. The parts are told apart: "a", "bc" and "ab", "c" are two keys. For speed make one key of
// what stays the same and give it as the first part of the others: KeyOf(plugin[:], query).
//
// It is SHA-256 cut to 128 bits, because a plugin chooses the bytes: with a weaker hash it could look for a query that has
// the key of another plugin's.
func KeyOf(parts ...[]byte) Key {
	var space [512]byte
	buf := space[:0]
	for _, p := range parts {
		buf = binary.AppendUvarint(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	sum := sha256.Sum256(buf)
	return Key(sum[:16])
}
