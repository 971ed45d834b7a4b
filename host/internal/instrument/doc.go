// Package instrument rewrites a WebAssembly module so that its host stays in control of it.
//
// [Module] decodes a binary module (the core specification and every proposal that wazero can enable), adds a budget that
// every loop and recursion counts down and that calls an added import, the tick, when it is spent, exports the mutable
// globals under a reserved prefix so that they can be saved and restored, and makes the few things that cannot be saved
// (tables, dropped segments, failed growth) leave a mark in a global. It changes nothing that a module can observe of
// itself. Input is hostile: an error names the offset or the limit, in time and memory linear in the input.
package instrument
