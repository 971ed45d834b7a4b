//go:build !unix

package ws

// cpuSeconds is unknown here.
func cpuSeconds() float64 { return 0 }
