package abi

//msgp:limit arrays:65536 maps:65536
//msgp:ignore Value Values
//msgp:clearomitted

// Verb is what a [Query] does. Grants name verbs by [Verb.String].
type Verb uint8

// The verbs of v1.
const (
	VerbSelect Verb = 0
	VerbInsert Verb = 1
	VerbUpdate Verb = 2
	VerbDelete Verb = 3
)

// Verbs lists the verbs by name, in order of their numbers.
var Verbs = [...]string{"select", "insert", "update", "delete"}

// String is the verb's name, as in a grant.
func (v Verb) String() string {
	if int(v) < len(Verbs) {
		return Verbs[v]
	}
	return "unknown"
}

// Query is one statement as data; the host compiles it for the connection's dialect. Names are identifiers, checked and
// quoted by the host: "title", "posts.title", or "*" and "posts.*" as a column. Nothing here is SQL text.
type Query struct {
	Conn  string `msg:"db,omitempty"` // connection by name; "" is default
	Tx    uint32 `msg:"tx,omitempty"` // transaction from begin; 0 is none
	Verb  Verb   `msg:"op,omitempty"`
	Table string `msg:"t"`
	As    string `msg:"as,omitempty"` // the table's alias

	// Select.
	Columns  []Column `msg:"c,omitempty,limit=2048"` // none is every column
	Distinct bool     `msg:"di,omitempty"`
	Joins    []Join   `msg:"j,omitempty,limit=64"`
	Group    []string `msg:"g,omitempty,limit=256"`
	Having   []Cond   `msg:"hv,omitempty,limit=4096"` // postfix, like Where
	Order    []Order  `msg:"o,omitempty,limit=256"`
	Limit    int64    `msg:"l,omitempty"` // 0 is none but the budget's
	Offset   int64    `msg:"of,omitempty"`

	// Select, update and delete.
	Where []Cond `msg:"w,omitempty,limit=4096"` // postfix; what is left on the stack is joined by and

	// Insert: one value per field in each row. Update: one row.
	Fields     []string  `msg:"f,omitempty,limit=2048"`
	Rows       []Values  `msg:"r,omitempty"`
	Increments []Delta   `msg:"in,omitempty,limit=256"` // update: column = column + delta
	Conflict   *Conflict `msg:"cf,omitempty"`           // insert: what to do when a unique key is taken; nil is an error
	Returning  []string  `msg:"rt,omitempty,limit=2048"`

	// Cached select.
	TTL int64 `msg:"ttl,omitempty"` // milliseconds; 0 is the host's default
}

// Column is one item of a select list.
type Column struct {
	Name string `msg:"n"`
	Func string `msg:"f,omitempty"` // "", count, sum, min, max, avg
	As   string `msg:"as,omitempty"`
}

// Join adds a table. On is postfix and compares columns with [Cond.Other].
type Join struct {
	Kind  string `msg:"k,omitempty"` // "" and inner, left, right, cross
	Table string `msg:"t"`
	As    string `msg:"as,omitempty"`
	On    []Cond `msg:"on,omitempty,limit=256"`
}

// Order is one term of the order.
type Order struct {
	Column string `msg:"c"`
	Desc   bool   `msg:"d,omitempty"`
}

// Delta is one term of an increment. The value is an integer, a float or a decimal, and may be negative.
type Delta struct {
	Column string `msg:"c"`
	By     Value  `msg:"v"`
}

// Conflict says what an insert does when a unique key of Columns is taken.
type Conflict struct {
	Columns []string `msg:"c,omitempty"` // none: any key (only to ignore)
	Update  []string `msg:"u,omitempty"` // fields to overwrite; none is to ignore the new row
}

// CondOp is the operator of a [Cond].
type CondOp uint8

// The operators of v1. And, or and not take what stands before them in the list; the others compare a column.
const (
	CondAnd     CondOp = 0 // of the last N
	CondOr      CondOp = 1 // of the last N
	CondNot     CondOp = 2 // of the last one
	CondEq      CondOp = 3 // a null value compares as "is null"
	CondNe      CondOp = 4
	CondLt      CondOp = 5
	CondLe      CondOp = 6
	CondGt      CondOp = 7
	CondGe      CondOp = 8
	CondIn      CondOp = 9 // an empty list is never true
	CondNotIn   CondOp = 10
	CondBetween CondOp = 11 // two values, both ends included
	CondNull    CondOp = 12
	CondNotNull CondOp = 13
	CondLike    CondOp = 14 // % and _, case as the database has it
	CondNotLike CondOp = 15
)

// Cond is one item of a condition in postfix order: "a = 1, b = 2, or(2), c = 3" is (a = 1 or b = 2) and c = 3. A list
// instead of a tree, so that no message nests without bound.
type Cond struct {
	Op     CondOp `msg:"o,omitempty"`
	N      uint32 `msg:"n,omitempty"` // and, or: how many
	Column string `msg:"c,omitempty"`
	Func   string `msg:"f,omitempty"` // having: count, sum, min, max, avg of Column
	Other  string `msg:"x,omitempty"` // compare with this column instead of Values
	Values Values `msg:"v,omitempty"`
}

// Result answers a query. The host writes it straight from the database's rows.
type Result struct {
	Columns  []string `msg:"c,omitempty"`
	Rows     []Values `msg:"r,omitempty"`
	Affected int64    `msg:"n,omitempty"` // rows that a write changed
	LastID   Value    `msg:"id"`          // of the last row inserted: the generated key, null if there is none
	Cached   bool     `msg:"h,omitempty"` // answered from the cache
}

// Begin starts a transaction that belongs to the call: what is not committed when the call ends is rolled back.
type Begin struct {
	Conn     string `msg:"db,omitempty"`
	ReadOnly bool   `msg:"ro,omitempty"`
}

// Tx names a transaction of the call.
type Tx struct {
	ID uint32 `msg:"tx"`
}

// Table names a table of a connection.
type Table struct {
	Conn string `msg:"db,omitempty"`
	Name string `msg:"t,omitempty"`
}

// BufferOp is what a buffered write does.
type BufferOp uint8

// The buffered writes of v1.
const (
	BufferInsert    BufferOp = 0
	BufferSet       BufferOp = 1
	BufferIncrement BufferOp = 2
	BufferDelete    BufferOp = 3
)

// Durability is how far a buffered write has come when it is acknowledged.
type Durability uint8

// The levels. Each includes what the ones before it promise, but that memory is lost when the host dies.
const (
	DurabilityDisk       Durability = 0 // in the host's log, synced
	DurabilityMemory     Durability = 1 // in the host's memory
	DurabilityReplicated Durability = 2 // in Redis too
	DurabilityApplied    Durability = 3 // committed by the database
)

// BufferWrite is one buffered write. Key names the row by its primary key: one value per KeyColumns; an insert has none.
type BufferWrite struct {
	Conn       string     `msg:"db,omitempty"`
	Table      string     `msg:"t"`
	Op         BufferOp   `msg:"op,omitempty"`
	Level      Durability `msg:"lv,omitempty"`
	KeyColumns []string   `msg:"kc,omitempty,limit=64"`
	Key        Values     `msg:"k,omitempty"`
	Fields     []string   `msg:"f,omitempty,limit=2048"` // insert, set
	Rows       []Values   `msg:"r,omitempty"`            // insert: one or more; set: one
	Increments []Delta    `msg:"in,omitempty,limit=256"`
}
