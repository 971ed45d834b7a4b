// Command guest is the smallest plugin that the toolchain builds.
package main

func main() {}

//go:wasmexport answer
func answer() int32 { return 42 }
