// Package engine runs untrusted WebAssembly modules. It is the only package of the project that knows wazero.
//
// An [Engine] holds what all programs share: the compiler's cache. [Engine.Load] turns the bytes of a module into a
// [Program], which is one revision of a plugin: it decodes and instruments the module, links it to exactly the host
// functions that were granted, compiles it, runs its initialisation and warm-up once, and keeps the result as an image. A
// Program makes instances ([Program.New]), cheaply, from that image. An [Instance] runs one call at a time
// ([Instance.Call]) and goes back to the image by [Instance.Reset]. Pooling is the caller's.
//
// What the engine promises about a guest, hostile or not:
//
//   - It reaches the host only through the functions in [LoadConfig.Modules] and WASI preview 1 without
//     arguments or sockets, and with the files in [LoadConfig.Files] alone, to read.
//   - It stops soon after its deadline or its caller's cancellation, wherever it is: in a loop, a recursion, a bulk memory
//     operation, a sleep, or a host function that respects [Call.Context]. And until then it never holds up Go's
//     scheduler or garbage collector for longer than about a tenth of a millisecond.
//   - Its linear memory never exceeds [LoadConfig.MaxMemoryBytes], and the stack of its calls, which lies outside, some
//     12 MB.
//   - With [LoadConfig.Fuel] it is counted what a call used, the same on every machine, and the call ends when it is more
//     than that.
//   - After Reset an instance is byte for byte the image: memory, globals, tables, descriptors. What cannot be restored
//     is reported as [ErrDiscard], never ignored.
//   - Nothing it does, and no panic in a host function, ends the process. Each failure is an error of a type below.
//
// Errors that a load returns: [*CompileError], [*LinkError], [ErrMemoryLimit], and what a failed initialisation returned.
// Errors that a call returns: [ErrDeadline], [ErrCanceled], [ErrMemoryLimit], [ErrFuel], [*ExitError], [*TrapError], [ErrClosed],
// [ErrUnusable], [*ExportError]. Compare with errors.Is and errors.As.
package engine
