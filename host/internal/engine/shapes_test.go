package engine

// hostileShapes are modules whose function run would never end, or not before the sun.
func hostileShapes() map[string]func(m *wasmModule) {
	void := func(m *wasmModule) int { return m.typ(nil, nil) }
	memory := []byte{0, 1}
	forever := func(code ...any) []byte { return cat(0x03, 0x40, cat(code...), 0x0c, 0, 0x0b) }
	drop := 0x1a
	maxPage := cat(0x41, leb(0), 0x41, leb(7), 0x3f, 0, 0x41, 16, 0x74) // dst 0, value 7, memory.size << 16
	repeat := func(n int, code []byte) (out []byte) {
		for range n {
			out = append(out, code...)
		}
		return out
	}
	return map[string]func(m *wasmModule){
		"empty loop": func(m *wasmModule) { m.fn("run", void(m), 0, 0x03, 0x40, 0x0c, 0, 0x0b) },
		"loop with parameters": func(m *wasmModule) {
			p := m.typ([]byte{I32, I64}, nil)
			m.fn("run", void(m), 0, 0x41, 1, 0x42, 2, 0x03, p, 0x0c, 0, 0x0b)
		},
		"conditional loop": func(m *wasmModule) { m.fn("run", void(m), 0, 0x03, 0x40, 0x41, 1, 0x0d, 0, 0x0b) },
		"br_table": func(m *wasmModule) {
			m.fn("run", void(m), 1, 0x03, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 3, 1, 0, 1, 1, 0x0b, 0x0c, 0, 0x0b)
		},
		"exponential recursion": func(m *wasmModule) {
			p := m.typ([]byte{I32}, nil)
			m.fn("f", p, 0, 0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x0b)
			m.fn("run", void(m), 0, 0x41, leb(60), 0x10, 0)
		},
		"tail calls": func(m *wasmModule) { m.fn("run", void(m), 0, 0x12, 0) },
		"indirect tail calls": func(m *wasmModule) {
			v := void(m)
			m.tables = [][]byte{{0x70, 0, 1}}
			m.elems = [][]byte{cat(0, 0x41, 0, 0x0b, 1, 0)}
			m.fn("run", v, 0, 0x41, 0, 0x13, v, 0)
		},
		"nested loops": func(m *wasmModule) {
			m.fn("run", void(m), 0, 0x03, 0x40, 0x03, 0x40, 0x41, 0, 0x0d, 0, 0x0c, 1, 0x0b, 0x0b)
		},
		"fills": func(m *wasmModule) {
			m.memory = memory
			fill := m.fn("f", void(m), 0, maxPage, 0xfc, 11, 0)
			calls := m.fn("g", 0, 0, repeat(1000, cat(0x10, fill)))
			m.fn("run", 0, 0, 0x41, sleb(500), 0x40, 0, 0x1a, repeat(1000, cat(0x10, calls)))
		},
		"copies": func(m *wasmModule) {
			m.memory = memory
			f := m.fn("f", void(m), 0, 0x41, 1, 0x41, 0, 0x3f, 0, 0x41, 16, 0x74, 0x41, 1, 0x6b, 0xfc, 10, 0, 0)
			calls := m.fn("g", 0, 0, repeat(1000, cat(0x10, f)))
			m.fn("run", 0, 0, 0x41, sleb(500), 0x40, 0, 0x1a, repeat(1000, cat(0x10, calls)))
		},
		"grows": func(m *wasmModule) {
			m.memory = memory
			m.fn("run", void(m), 0, 0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x0c, 0, 0x0b)
		},
		"host calls": func(m *wasmModule) {
			v := void(m)
			m.imp("test:host/v1", "nop", v)
			m.fn("run", v, 0, 0x03, 0x40, 0x10, 0, 0x0c, 0, 0x0b)
		},
		"deep recursion": func(m *wasmModule) { // down and up again, without end
			p := m.typ([]byte{I32}, nil)
			m.fn("f", p, 0, 0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x0b)
			m.fn("run", void(m), 0, forever(0x41, leb(30_000), 0x10, 0))
		},
		"tower of calls": func(m *wasmModule) { // each calls the next twice (wazero #2533)
			v := void(m)
			for i := range 60 {
				m.fn("", v, 0, 0x10, leb(uint32(i+1)), 0x10, leb(uint32(i+1)))
			}
			m.fn("", v, 0)
			m.exports = append(m.exports, cat("run", 0, 0))
		},
		"indirect calls": func(m *wasmModule) {
			v := void(m)
			m.tables = [][]byte{{0x70, 0, 1}}
			m.elems = [][]byte{cat(0, 0x41, 0, 0x0b, 1, 0)}
			m.fn("leaf", v, 0)
			m.fn("run", v, 0, forever(repeat(1000, cat(0x41, 0, 0x11, v, 0))))
		},
		"mutual tail calls": func(m *wasmModule) {
			p := m.typ([]byte{I64, F64}, nil)
			m.fn("a", p, 0, 0x20, 0, 0x20, 1, 0x12, 1)
			m.fn("b", p, 0, 0x20, 0, 0x20, 1, 0x12, 0)
			m.fn("run", void(m), 0, 0x42, 1, 0x44, make([]byte, 8), 0x10, 0)
		},
		"table fills": func(m *wasmModule) {
			m.tables = [][]byte{cat(0x70, 0, leb(1<<18))}
			m.fn("run", void(m), 0, forever(repeat(1000, cat(0x41, 0, 0xd0, 0x70, 0x41, sleb(1<<18), 0xfc, 17, 0))))
		},
		"table copies": func(m *wasmModule) {
			m.tables = [][]byte{cat(0x70, 0, leb(1<<18))}
			m.fn("run", void(m), 0, forever(repeat(1000, cat(0x41, 1, 0x41, 0, 0x41, sleb(1<<18-1), 0xfc, 14, 0, 0))))
		},
		"table grows": func(m *wasmModule) {
			m.tables = [][]byte{cat(0x70, 0, 0)}
			m.fn("run", void(m), 0, forever(repeat(1000, cat(0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, drop))))
		},
		"table inits": func(m *wasmModule) {
			m.tables = [][]byte{cat(0x70, 0, leb(1<<16))}
			m.elems = [][]byte{cat(1, 0, leb(1<<16), make([]byte, 1<<16))}
			m.fn("run", void(m), 0, forever(repeat(1000, cat(0x41, 0, 0x41, 0, 0x41, sleb(1<<16), 0xfc, 12, 0, 0))))
		},
		"memory inits": func(m *wasmModule) {
			m.memory = cat(0, leb(64))
			m.datas = [][]byte{cat(1, leb(4<<20), make([]byte, 4<<20))}
			m.fn("run", void(m), 0, forever(repeat(1000, cat(0x41, 0, 0x41, 0, 0x41, sleb(4<<20), 0xfc, 8, 0, 0))))
		},
		"large grows": func(m *wasmModule) { // to the limit, then refused for ever
			m.memory = memory
			m.fn("run", void(m), 0, 0x41, sleb(1023), 0x40, 0, drop, forever(repeat(1000, cat(0x41, sleb(1023), 0x40, 0, drop))))
		},
		"waits": func(m *wasmModule) {
			m.memory = []byte{3, 1, 1}
			m.fn("run", void(m), 0, forever(0x41, 0, 0x41, 1, 0x42, 0x7f, 0xfe, 1, 2, 0, drop)) // the value differs
		},
		"notifies": func(m *wasmModule) {
			m.memory = []byte{3, 1, 1}
			m.fn("run", void(m), 1, forever(0x20, 0, 0x41, 4, 0x6a, 0x41, sleb(0xfffc), 0x71, 0x22, 0, 0x41, 1, 0xfe, 0, 2, 0, drop))
		},
		"nest of blocks": func(m *wasmModule) {
			const deep = 5000
			labels := []byte{}
			for i := range deep {
				labels = append(labels, leb(uint32(i))...)
			}
			table := cat(0x20, 0, 0x0e, leb(deep), labels, leb(deep-1))
			m.fn("run", void(m), 1, forever(repeat(deep, []byte{0x02, 0x40}), table, repeat(deep, []byte{0x0b}), 0x20, 0, 0x41, 1, 0x6a, 0x21, 0))
		},
		"giant loop": func(m *wasmModule) { // of divisions that depend on each other, and no loop or call inside
			step := cat(0x20, 0, 0x20, 1, 0x6d, 0x41, sleb(1<<28), 0x6a, 0x21, 0)
			m.fn("run", void(m), 2, 0x41, 1, 0x21, 1, forever(repeat(20_000, step)))
		},
		"giant function": func(m *wasmModule) {
			step := cat(0x20, 0, 0x20, 1, 0x6d, 0x41, sleb(1<<28), 0x6a, 0x21, 0)
			giant := m.fn("giant", void(m), 2, 0x41, 1, 0x21, 1, repeat(20_000, step))
			m.fn("run", 0, 0, forever(0x10, giant))
		},
		"skipped checks": func(m *wasmModule) { // the path leaves out each piece that could hold a check
			work := repeat(1000, cat(0x20, 0, 0x20, 1, 0x6d, 0x41, sleb(1<<28), 0x6a, 0x21, 0))
			skipped := cat(0x02, 0x40, 0x41, 1, 0x0d, 0, repeat(50, cat(0x41, 1, drop)), 0x0b)
			m.fn("run", void(m), 2, 0x41, 1, 0x21, 1, forever(repeat(20, cat(work, skipped))))
		},
		"leaves": func(m *wasmModule) {
			leaf := m.fn("leaf", void(m), 0, repeat(2000, cat(0x41, 1, 0x1a)))
			calls := m.fn("g", 0, 0, repeat(10000, cat(0x10, leaf)))
			more := m.fn("h", 0, 0, repeat(10000, cat(0x10, calls)))
			m.fn("run", 0, 0, repeat(1000, cat(0x10, more)))
		},
	}
}

// sleb encodes a number that is not negative as a signed one.
func sleb(v uint32) []byte {
	b := leb(v)
	if last := len(b) - 1; b[last]&0x40 != 0 {
		b[last] |= 0x80
		b = append(b, 0)
	}
	return b
}
