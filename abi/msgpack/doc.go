// Package msgpack reads and writes MessagePack in memory: the part of github.com/tinylib/msgp's runtime that the messages of
// package abi need, under the same names, so that the code which msgp generates runs on it.
//
// It is here because every guest carries it: msgp's runtime registers its JSON printer in an init function, which
// no linker can drop, and makes a guest of standard Go larger by 1.1 MB. And it is stricter with what comes from
// outside: a header that claims more than what follows it can hold is [ErrShortBytes], before anything is allocated for
// it. Tests compare both, value by value and byte by byte.
//
// Readers take bytes and return what follows the value that they read. Functions whose name ends in ZC return views of
// their input.
package msgpack
