// Package cli is odachost's commands, one file each. A command reads its flags and the configuration, talks to a host
// through package admin, and prints for people: progress on a terminal, plain lines elsewhere; what another program may
// want to read is on standard output, all else on standard error. Errors say what to do and end the process with status
// 1; wrong usage and a wrong configuration end it with 2.
package cli
