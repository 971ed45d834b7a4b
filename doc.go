// Package odachost names the module and holds no code: a single binary, and a library, that runs application logic as
// sandboxed WebAssembly plugins beside a migrated, cached database layer.
//
// Where to look:
//
//   - abi is the contract between host and guest, and imports nothing of the rest
//   - sdk is what a plugin written in Go imports
//   - host runs plugins: start there to follow one request, or to give your own program plugins
//   - plugins decides which revision of which plugin runs, and with what grants
//   - migrate, cache, buffer and ws are the data layer and the sockets, each of use on its own
//   - cmd/odachost is the command
//   - examples holds plugins to copy from
//
// README.md has the first two commands, RATIONALE.md the decisions with what was rejected. The tests of this package hold the
// house to its plan: which package may import which, and how files are laid out.
package odachost
