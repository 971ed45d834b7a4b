// Command repoint makes generated codecs import abi/msgpack in the place of msgp's own runtime: see package msgpack for why.
package main

import (
	"bytes"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	for _, name := range os.Args[1:] {
		src, err := os.ReadFile(name)
		if err != nil {
			log.Fatalf("repoint: %v", err)
		}
		src = bytes.Replace(src, []byte(`"github.com/tinylib/msgp/msgp"`), []byte(`msgp "github.com/odac-run/odachost/abi/msgpack"`), 1)
		if err := os.WriteFile(name, src, 0o644); err != nil {
			log.Fatalf("repoint: %v", err)
		}
	}
}
