package abi

//msgp:limit arrays:65536 maps:65536
//msgp:ignore Value Values Rows
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
	From  uint32 `msg:"fr,omitempty"` // select: instead of Table, the number of a sub-query, the first of Subs being 1
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
	After    []Value  `msg:"af,omitempty,limit=64"` // keyset: rows that come after these values of the order's columns, one each
	Unions   []Union  `msg:"un,omitempty,limit=8"`  // order, limit and offset are then those of the whole
	Lock     Lock     `msg:"lk,omitempty"`
	Wait     Wait     `msg:"lw,omitempty"`

	// Every verb: the sub-queries, in one list.
	Subs []Select `msg:"sq,omitempty,limit=32"`

	// Select, update and delete.
	Where []Cond `msg:"w,omitempty,limit=4096"` // postfix; what is left on the stack is joined by and

	// Insert: one value per field in each row. Update: one row.
	Fields     []string  `msg:"f,omitempty,limit=2048"`
	Rows       []Values  `msg:"r,omitempty"`
	Increments []Delta   `msg:"in,omitempty,limit=256"` // update: column = column + delta
	Conflict   *Conflict `msg:"cf,omitempty"`           // insert: what to do when a unique key is taken; nil is an error
	Returning  []string  `msg:"rt,omitempty,limit=2048"`
	Truncate   bool      `msg:"tr,omitempty"` // delete: every row, and generated keys begin again

	// SQL is text instead of everything above but Conn and Tx: one statement, with "?" or ":name" for each value. Needs a grant of its own.
	SQL   string   `msg:"sql,omitempty"`
	Args  []Value  `msg:"a,omitempty,limit=1024"`
	Names []string `msg:"an,omitempty,limit=1024"` // of the arguments, one each, where the text names them

	// Cached select.
	TTL int64 `msg:"ttl,omitempty"` // milliseconds; 0 is the host's default
}

// Select is a select within a [Query]: a sub-query, a part of a union, or, with a Name, a common table expression. All of a query's stand in
// [Query.Subs], and where one is used it is named by its number there, the first being 1: no message nests. Each is used once, a common
// table expression as often as you like by those that come after it. A sub-query of a condition or a select list sees the tables
// around it.
type Select struct {
	Name      string   `msg:"nm,omitempty"` // of a common table expression
	Recursive bool     `msg:"rc,omitempty"` // the last of Unions selects from the common table expression itself
	Table     string   `msg:"t,omitempty"`
	From      uint32   `msg:"fr,omitempty"`
	As        string   `msg:"as,omitempty"`
	Columns   []Column `msg:"c,omitempty,limit=2048"`
	Distinct  bool     `msg:"di,omitempty"`
	Joins     []Join   `msg:"j,omitempty,limit=64"`
	Where     []Cond   `msg:"w,omitempty,limit=4096"`
	Group     []string `msg:"g,omitempty,limit=256"`
	Having    []Cond   `msg:"hv,omitempty,limit=4096"`
	Order     []Order  `msg:"o,omitempty,limit=256"`
	Limit     int64    `msg:"l,omitempty"`
	Offset    int64    `msg:"of,omitempty"`
	Unions    []Union  `msg:"un,omitempty,limit=8"`
}

// Union adds the rows of a sub-query, which has as many columns and neither order, limit nor offset.
type Union struct {
	Sub uint32 `msg:"q"`
	All bool   `msg:"a,omitempty"` // keep repeated rows
}

// Lock is what a select in a transaction does to the rows it reads.
type Lock uint8

// The locks of v1.
const (
	LockNone   Lock = 0
	LockUpdate Lock = 1 // nobody else changes or locks them until the transaction ends
	LockShare  Lock = 2 // nobody else changes them until the transaction ends
)

// Wait is what a select does at a row that somebody else has locked.
type Wait uint8

// The ways of v1.
const (
	WaitLock  Wait = 0 // wait for it
	WaitError Wait = 1 // fail with [ErrnoBusy]
	WaitSkip  Wait = 2 // leave the row out
)

// Column is one item of a select list.
type Column struct {
	Name string `msg:"n"`
	Func string `msg:"f,omitempty"` // "", count, sum, min, max, avg
	As   string `msg:"as,omitempty"`

	Distinct bool   `msg:"d,omitempty"` // count: of different values
	Sub      uint32 `msg:"q,omitempty"` // instead of Name and Func: the one value of this sub-query
}

// Join adds a table. On is postfix and compares columns with [Cond.Other].
type Join struct {
	Kind  string `msg:"k,omitempty"` // "" and inner, left, right, cross
	Table string `msg:"t"`
	As    string `msg:"as,omitempty"`
	On    []Cond `msg:"on,omitempty,limit=256"`
	From  uint32 `msg:"fr,omitempty"` // instead of Table: a sub-query
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
	Add     []string `msg:"a,omitempty"` // fields to which the new row's value is added
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

	CondExists    CondOp = 16 // Sub has a row
	CondNotExists CondOp = 17
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
	Sub    uint32 `msg:"q,omitempty"` // compare with this sub-query instead of Values: of one column and, but for in and exists, one row
}

// Result answers a query. The host writes it straight from the database's rows.
type Result struct {
	Columns  []string `msg:"c,omitempty"`
	Rows     Rows     `msg:"r,omitempty"`
	Affected int64    `msg:"n,omitempty"` // rows that a write changed
	LastID   Value    `msg:"id"`          // of the last row inserted: the generated key, null if there is none
	Cached   bool     `msg:"h,omitempty"` // answered from the cache
}

// Isolation is how far a transaction is kept apart from others. A database may give more than was asked for.
type Isolation uint8

// The levels of v1.
const (
	IsolationDefault        Isolation = 0 // the database's
	IsolationReadCommitted  Isolation = 1
	IsolationRepeatableRead Isolation = 2
	IsolationSerializable   Isolation = 3
)

// Begin starts a transaction that belongs to the call: what is not committed when the call ends is rolled back.
type Begin struct {
	Conn      string    `msg:"db,omitempty"`
	ReadOnly  bool      `msg:"ro,omitempty"`
	Isolation Isolation `msg:"iso,omitempty"`
	// Parent is a transaction within which this one is a savepoint: its rollback undoes what came after its begin, its commit leaves the
	// rest to the parent. Until it ends the parent runs no statement. Conn, ReadOnly and Isolation are the parent's.
	Parent uint32 `msg:"p,omitempty"`
}

// Batch is statements that cross together and are all done or none: in a transaction of their own, or in Tx. Conn and Tx of the queries
// are not looked at.
type Batch struct {
	Conn    string  `msg:"db,omitempty"`
	Tx      uint32  `msg:"tx,omitempty"`
	Queries []Query `msg:"q,limit=256"`
}

// BatchResult answers a Batch: one Result for each query.
type BatchResult struct {
	Results []Result `msg:"r"`
}

// Cursor names a cursor of the call.
type Cursor struct {
	ID   uint32 `msg:"cu"`
	Rows int64  `msg:"n,omitempty"` // next: at most so many rows; 0 is what fits the budget
}

// Page answers next. Done says that there are no more rows; the cursor is then closed.
type Page struct {
	Columns []string `msg:"c,omitempty"`
	Rows    Rows     `msg:"r,omitempty"`
	Done    bool     `msg:"d,omitempty"`
}

// Tx names a transaction of the call.
type Tx struct {
	ID uint32 `msg:"tx"`
}

// Notify says something on a channel of the tenant's, within Tx when that commits. Whoever listens gets it, the sender too.
type Notify struct {
	Conn    string `msg:"db,omitempty"`
	Tx      uint32 `msg:"tx,omitempty"`
	Channel string `msg:"ch"`
	Payload string `msg:"b,omitempty"`
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
