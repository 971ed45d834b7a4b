// Package abi is the contract between a plugin and its host: names of host modules and functions, the calling
// convention, the messages, the errno catalogue and the limits. It holds names, numbers and codecs, nothing that
// runs, and imports nothing of ours, so that both sides can import it.
//
// # Calling convention
//
// Every host function has one shape:
//
//	fn(req_ptr, req_len, resp_ptr, resp_cap i32) -> i64
//
// req is a MessagePack message in the guest's linear memory, resp a place there for the answer. The high 32 bits of
// the result are an [Errno], the low 32 the length of the answer. With errno 0 the answer is the function's response
// message; with any other it is a UTF-8 text for people that says what went wrong and what to do. An answer that is
// longer than resp_cap is not written: the host keeps it until the next call, and the guest fetches it with
// odac:core/v1.take. Pointers and lengths are checked; what lies outside the memory is [ErrnoFault].
//
// # Guest exports
//
//	odac_register(size i32) -> i32           once, after _initialize: input is a Hello, output a Registration
//	odac_event(kind i32, size i32) -> i32    input is the event of that kind, output its reply
//
// size is the length of the input, which the guest reads with odac:core/v1.input and answers with
// odac:core/v1.output. The result is an [Errno]; when it is not 0 the output is a text. A host calls one export of
// one instance at a time.
//
// # Messages
//
// Messages are MessagePack maps with short keys; unknown keys are ignored, missing ones are zero. Rows of a request are arrays.
// A [Value] keeps its SQL type. Nothing nests deeper than a fixed depth: conditions are a list in postfix order, sub-queries a list
// in which they are named by number.
//
// # Rows
//
// The rows of an answer are one MessagePack bin, in which every value has its place. All numbers in it are little-endian:
//
//	rows  count u32, and so many rows
//	row   size u32 of the whole row, values u32, a cell for each value, and what the cells refer to
//	cell  number 8 bytes, more u32, kind u8 (see [Kind]), 3 bytes that are 0
//
// The number of an integer is its value, of a boolean 0 or 1, of a float its bits, of an instant its seconds since 1970 in UTC with the
// nanoseconds in more; that of text, bytes, a decimal and JSON is where in the row the content begins, more how many bytes it has. A
// null is all 0. [RowWriter] writes rows, [CutRow] and [RowValue] read them.
//
// # Stability
//
// Adding a key, a function, an errno or a host module is allowed within v1; changing one is a new module version.
package abi

//go:generate go run ./internal/errnogen
//go:generate go run github.com/tinylib/msgp@v1.6.5 -io=false -tests=false -file=event.go -o=event_gen.go
//go:generate go run github.com/tinylib/msgp@v1.6.5 -io=false -tests=false -file=query.go -o=query_gen.go
//go:generate go run github.com/tinylib/msgp@v1.6.5 -io=false -tests=false -file=message.go -o=message_gen.go
//go:generate go run ./internal/repoint event_gen.go query_gen.go message_gen.go
