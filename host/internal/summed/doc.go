// Package summed keeps files that can be made again: each begins with the SHA-256 of its content, so that what a crash or a disk left of
// one is not taken for it.
package summed
