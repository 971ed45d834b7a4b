// Package cli is odachost's commands, one file each. A command reads its flags and the configuration, talks to a host
// through package admin, and prints for people: progress on a terminal, plain lines elsewhere. Errors say what to do and
// end the process with status 1; wrong usage ends it with 2.
package cli
