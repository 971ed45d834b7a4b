//go:build !wasip1

package odac

const alone = false
