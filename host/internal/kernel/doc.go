// Package kernel is the memory in which Extism's convention passes data: blocks outside of the guest's own memory, named by
// 64-bit handles, the input, the output and the error of a call. It is a small module of WebAssembly that every instance has
// a copy of, so that a guest which copies its input eight bytes at a time never leaves compiled code to do so.
//
// What it promises, whatever the guest does with the exported functions:
//
//   - Each of them takes constant time and touches nothing but the copy's memory below [Kernel]'s position, so that a reset,
//     which clears that much, leaves no byte behind.
//   - A load outside of the blocks answers 0 and a store does nothing, as in Extism's own kernel; a handle that is none has
//     the length 0.
//   - Nothing the guest writes there is trusted: a view that the host takes lies within the memory, or there is none.
//
// A guest that writes over the headers between blocks harms its own call alone.
//
// The functions and their meaning are from https://github.com/extism/extism, kernel/src/lib.rs at 1.x; the code is not.
package kernel
