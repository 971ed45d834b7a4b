//go:build !linux || portable

package engine

func newMemories(resetMode) memories { return heapMemories{} }
