package instrument

// The names of what [Module] adds. No module may use a name that begins with Prefix itself.
const (
	// Prefix of everything added.
	Prefix = "odac:engine/"
	// TickModule is the module of the added import.
	TickModule = Prefix + "v1"
	// TickName is its function (balance i32) -> i32. The guest calls it when its budget is spent, with what is left of it,
	// which is negative. It answers the next budget, or does not return.
	TickName = "tick"
	// StateExport is an exported mutable i32 global with the marks.
	StateExport = Prefix + "state"
	// StartExport is the export of what was the start function, which is no longer run at instantiation.
	StartExport = Prefix + "start"
	// BalanceExport is an exported mutable i32 global of metered modules: the balance. The host sets it before a call.
	BalanceExport = Prefix + "balance"
	// GlobalPrefix begins the exports of the module's own mutable globals, followed by their index in decimal.
	GlobalPrefix = Prefix + "global."
)

// Marks are bits of the global StateExport. The guest sets them, the host clears them.
const (
	// MarkTable: an element of a table, or its size, changed, or a global that holds a reference did or may have done so.
	MarkTable = 1 << iota
	// MarkSegment: a passive data or element segment was dropped.
	MarkSegment
	// MarkGrowFailed: memory.grow answered -1.
	MarkGrowFailed
)

// Budget is how much the tick should answer, in units of about one simple instruction. A tick costs about a hundred of
// them, and between two ticks the Go scheduler cannot preempt the guest.
const Budget = 1 << 16

// Kind is the kind of an import or export, in the binary format's encoding.
type Kind byte

// The kinds.
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
	KindTag
)

// FuncType is the type of a function, its value types in the binary format's encoding.
type FuncType struct {
	Params, Results []byte
}

// Import is one entry of the import section.
type Import struct {
	Module, Name string
	Kind         Kind
	// Type is set for functions.
	Type FuncType
}

// Export is one entry of the export section.
type Export struct {
	Name string
	Kind Kind
	// Type is set for functions.
	Type FuncType
}

// Info describes a module as it was before anything was added.
type Info struct {
	Imports []Import
	Exports []Export
	// HasMemory says that the module has a memory of its own, which is not imported.
	HasMemory bool
	// MemoryPages is the initial size of the module's own memory in 64 KiB pages.
	MemoryPages uint32
	// Start says that there is a start function.
	Start bool
	// Globals are the names under which Module exports the module's own mutable globals of a number type.
	Globals []string
	// Data are the segments that Module took out, for the host to write in order into the memory of an instance before
	// anything runs in it. One that does not fit is a trap. They share the bytes of the module.
	Data []Segment
}

// Limits bound what is accepted. The zero value of a field means its default.
type Limits struct {
	// ModuleBytes of input; default 128 MiB. The output is at most four times the input (metered six times) and a megabyte.
	ModuleBytes int
	// Functions, defined and imported; default 500,000.
	Functions int
	// BodyBytes of one function; default 7,654,321, as in browsers.
	BodyBytes int
	// Locals of one function; default 50,000, as in browsers.
	Locals int
	// SegmentBytes of a passive data segment, which memory.init copies at one go; default 4 MiB.
	SegmentBytes int
	// TableElements in all tables together: what a table may grow to is clamped to its share; default 262,144.
	TableElements int
}

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.ModuleBytes, 128<<20)
	def(&l.Functions, 500_000)
	def(&l.BodyBytes, 7_654_321)
	def(&l.Locals, 50_000)
	def(&l.SegmentBytes, 4<<20)
	def(&l.TableElements, 1<<18)
	return l
}

// Module returns the instrumented module, and a description of the original. It does not validate: a module that is
// invalid beyond what decoding needs stays invalid, and the compiler refuses it. wasm is not changed nor kept. Errors are of
// type [*Error].
func Module(wasm []byte, limits Limits) (out []byte, info *Info, err error) {
	return rewrite(wasm, limits, false)
}

// Metered is Module with an exact balance, exported as [BalanceExport], for counting fuel: each basic block takes what its
// instructions cost off it when it is entered. One is the cost of a simple instruction, 2 of a vector instruction or
// br_table, 4 of a call, division, square root or atomic instruction, 1024 of memory.grow, 65536 of a bulk table instruction; filling or copying
// memory costs 128, and 8192 for each 64 KiB if it is more than 4 KiB, memory.init an eighth of its segment's bytes and at least 128; entering a
// function costs one for each of its parameters, results and locals beyond 64. block, loop, else and nop cost nothing.
func Metered(wasm []byte, limits Limits) (out []byte, info *Info, err error) {
	return rewrite(wasm, limits, true)
}

func rewrite(wasm []byte, limits Limits, metered bool) (out []byte, info *Info, err error) {
	m, err := decode(wasm, limits.withDefaults())
	if err != nil {
		return nil, nil, err
	}
	if out, err = m.encode(metered); err != nil {
		return nil, nil, err
	}
	return out, &m.info, nil
}

// Inspect describes a module without rewriting it.
func Inspect(wasm []byte, limits Limits) (*Info, error) {
	m, err := decode(wasm, limits.withDefaults())
	if err != nil {
		return nil, err
	}
	return &m.info, nil
}
