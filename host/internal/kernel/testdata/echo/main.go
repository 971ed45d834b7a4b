// Echo is a plugin made with Extism's Go PDK, whose functions copy eight bytes at a time.
package main

import pdk "github.com/extism/go-pdk"

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

func main() {}
