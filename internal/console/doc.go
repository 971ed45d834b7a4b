// Package console tells a person, or a log, how far a command has come: steps that spin on a terminal and are plain lines
// everywhere else, and tables whose columns line up.
//
// On a terminal a running [Step] is one line that is drawn again until it ends. Where the writer is no terminal, or TERM is
// dumb, each start and each end is a line of its own, and one between them every 15 s, so that logs of CI and services stay readable. Colour is for terminals,
// and off when NO_COLOR is set (https://no-color.org). What a step says is never only in its colour.
//
// A [Console] may be used from several goroutines. Text from outside, such as a plugin's name, is printed with its control
// characters made visible, so that no plugin draws on the operator's terminal.
package console
