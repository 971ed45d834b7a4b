package instrument

// What is refused is named by the WebAssembly proposal that it belongs to, so that an author knows which switch of the
// compiler to turn off.
const (
	proposalExceptions = "exception handling"
	proposalReferences = "typed function references"
	proposalGC         = "garbage collection"
	proposalMemory64   = "64-bit memory (memory64)"
	proposalMemories   = "multiple memories"
	proposalPages      = "custom page sizes"
	proposalRelaxed    = "relaxed SIMD"
	proposalWide       = "wide arithmetic"
	proposalStacks     = "stack switching"
)

func unsupported(proposal string) string {
	return "the proposal \"" + proposal + "\" is not supported: build the module without it"
}

// proposalOf names the proposal of an instruction that is not known, "" if there is none.
func proposalOf(op byte, sub uint32) string {
	switch {
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		return proposalExceptions
	case op == 0x14, op == 0x15, op >= 0xd4 && op <= 0xd6:
		return proposalReferences
	case op == 0xd3, op == 0xfb:
		return proposalGC
	case op >= 0xe0 && op <= 0xe6:
		return proposalStacks
	case op == opMisc && sub >= 19 && sub <= 22:
		return proposalWide
	case op == opVector && sub >= 256:
		return proposalRelaxed
	}
	return ""
}

// proposalOfType names the proposal of a value type that is not known.
func proposalOfType(t byte) string {
	switch t {
	case 0x69, 0x74: // exnref, noexn
		return proposalExceptions
	case 0x63, 0x64: // a reference to a type
		return proposalReferences
	case 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73, 0x77, 0x78: // arrayref to i8
		return proposalGC
	case 0x68, 0x75:
		return proposalStacks
	}
	return ""
}

// proposalOfForm names the proposal of an entry of the type section that is no function.
func proposalOfForm(form byte) string {
	switch form {
	case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
		return proposalGC
	case 0x5d:
		return proposalStacks
	}
	return ""
}

// proposalOfLimits names the proposal of a table's or memory's flags.
func proposalOfLimits(flags byte) string {
	switch {
	case flags >= 0x10:
		return ""
	case flags&8 != 0:
		return proposalPages
	case flags&4 != 0:
		return proposalMemory64
	}
	return ""
}

// refuse fails with the proposal's name, or with the reason if it has none.
func (r *reader) refuse(off int, proposal, reason string) {
	if proposal != "" {
		reason = unsupported(proposal)
	}
	r.failAt(off, reason)
}
