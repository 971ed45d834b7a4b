// Package diagram draws a schema, or what a plan changes in it, as an SVG picture that a person can read.
//
//	picture := diagram.Schema(schema)
//	picture := diagram.Change(before, after)
//
// Tables stand in columns from left to right, each to the right of those that its foreign keys point to. A key is a line of straight
// pieces from the referencing column, which has a crow's foot, to the referenced one; keys to the same column share their line
// where they can. No line crosses a table. What is added, removed or changed has a colour and, for who does not see it, a sign and a
// line of its own: + and solid, - and dashed with the text struck through, ~ and dotted.
//
// The same schema gives the same bytes on every machine.
package diagram
