//go:build !linux

package engine

func newMemories(resetMode) memories { return heapMemories{} }
