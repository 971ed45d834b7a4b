// Command bench compares odachost with its peers and with bare net/http, paired in one run on one machine, and prints a
// line for each figure:
//
//	figure <name> <value> <unit> [peer <name> <value>]
//
// It is a module of its own, so that peers never enter the product's go.mod. From the repository's root:
//
//	make bench                # SUITE=main
//	make bench SUITE=engine   # the sandbox, against the Extism Go SDK and bare wazero on the same wasm
//	make bench SUITE=idle     # a thousand plugins that nobody calls
//	make bench SUITE=database # statements from inside a plugin, against each engine's own driver and a PocketBase hook
//	make bench SUITE=migrate  # plans of 500 tables, and what a plan costs who writes to a table of a million rows
//
// Ratios are medians over rounds in which the two sides alternate; absolute figures depend on the machine, which the
// first lines name. Every server listens on loopback, every load is bounded in time.
package main
