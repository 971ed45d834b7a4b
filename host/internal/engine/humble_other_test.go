//go:build !linux

package engine

func reportHumble([]string) int { return 0 }
