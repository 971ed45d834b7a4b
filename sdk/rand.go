package odac

import (
	"math/rand/v2"

	"github.com/odac-run/odachost/sdk/internal/wire"
)

var random struct {
	src  *rand.ChaCha8
	rand *rand.Rand
	set  bool // seeded in this event
}

// Rand is a generator that the host seeded for this event. Use it instead of the functions of math/rand, which draw the
// same numbers in each event of a plugin whose isolation is fresh. Do not keep it from one event to the next. It is a
// strong generator (ChaCha8); for keys use crypto/rand, which asks the host for every byte.
func Rand() *rand.Rand {
	if random.src == nil {
		random.src = rand.NewChaCha8([32]byte{})
		random.rand = rand.New(random.src)
	}
	if !random.set {
		var seed [32]byte
		wire.Random(seed[:])
		random.src.Seed(seed)
		random.set = true
	}
	return random.rand
}

// nanoidAlphabet is that of the nanoid project: 64 characters that are safe in URLs.
const nanoidAlphabet = "useandom-26T198340PX75pxJACKVERYMINDBUSHWOLF_GQZbfghjklqvwyzrict"

// NanoID is a random id of n characters, 21 when n is not positive, from the host's randomness.
func NanoID(n int) string {
	if n <= 0 {
		n = 21
	}
	id := make([]byte, n)
	wire.Random(id)
	for i, b := range id {
		id[i] = nanoidAlphabet[b&63]
	}
	return string(id)
}
