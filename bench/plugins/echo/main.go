//go:build wasip1

// Command echo answers what it was given, as a function of odachost's SDK and as one of Extism's PDK, so that the same
// module runs on odachost, on the Extism Go SDK and on bare wazero.
package main

import (
	"github.com/extism/go-pdk"

	odac "github.com/odac-run/odachost/sdk"
)

func init() {
	odac.Func("echo", func(body []byte) ([]byte, error) { return body, nil })
}

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

func main() {}
