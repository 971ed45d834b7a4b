// Command repoint makes generated codecs import abi/msgpack in the place of msgp's own runtime: see package msgpack for why. And it has
// them read bytes without clearing the memory for them first, which takes as long as to fill it.
package main

import (
	"bytes"
	"log"
	"os"
	"regexp"
)

// readsBytes is how msgp reads bytes: it makes room, looks whether there are so many, and copies.
var readsBytes = regexp.MustCompile(`if (\S+) == nil \|\| uint32\(cap\(\S+\)\) < (\w+) \{\s+\S+ = make\(\[\]byte, \w+\)\s+\} else \{\s+\S+ = \S+\[:\w+\]\s+\}\n(\s+if uint32\(len\(bts\)\) < \w+ \{\s+err = msgp.ErrShortBytes\s+return\s+\}\n\s+)copy\(\S+, bts\[:\w+\]\)`)

func main() {
	log.SetFlags(0)
	for _, name := range os.Args[1:] {
		src, err := os.ReadFile(name)
		if err != nil {
			log.Fatalf("repoint: %v", err)
		}
		src = bytes.Replace(src, []byte(`"github.com/tinylib/msgp/msgp"`), []byte(`msgp "github.com/odac-run/odachost/abi/msgpack"`), 1)
		src = readsBytes.ReplaceAllFunc(src, func(found []byte) []byte {
			part := readsBytes.FindSubmatch(found)
			check := bytes.TrimLeft(part[3], " \t\n")
			return append(bytes.Clone(check), string(part[1])+" = append(msgp.Empty("+string(part[1])+"), bts[:"+string(part[2])+"]...)"...)
		})
		if bytes.Contains(src, []byte("= make([]byte, zb")) {
			log.Fatalf("repoint: %s reads bytes in a way that is not known here: mend readsBytes", name)
		}
		if err := os.WriteFile(name, src, 0o644); err != nil {
			log.Fatalf("repoint: %v", err)
		}
	}
}
