package engine

// wasmModule builds small modules by hand.
type wasmModule struct {
	types, imports, funcs, tables, globals, exports, elems, bodies, datas [][]byte
	memory                                                                []byte
	start                                                                 int // function index plus one
	count                                                                 int // functions so far
}

func leb(v uint32) (b []byte) {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func cat(parts ...any) (out []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			out = append(out, p...)
		case string:
			out = append(append(out, leb(uint32(len(p)))...), p...)
		case int:
			out = append(out, byte(p))
		}
	}
	return out
}

// typ adds a function type and returns its index.
func (m *wasmModule) typ(params, results []byte) int {
	m.types = append(m.types, cat(0x60, string(params), string(results)))
	return len(m.types) - 1
}

// imp imports a function; before any fn.
func (m *wasmModule) imp(module, name string, typ int) int {
	m.imports = append(m.imports, cat(module, name, 0, typ))
	m.count++
	return m.count - 1
}

// fn adds a function with i32 locals and a body without its end, exported if it has a name.
func (m *wasmModule) fn(name string, typ, locals int, body ...any) int {
	m.funcs = append(m.funcs, []byte{byte(typ)})
	code := cat(append(append([]any{1, leb(uint32(locals)), 0x7f}, body...), 0x0b)...)
	m.bodies = append(m.bodies, cat(leb(uint32(len(code))), code))
	if name != "" {
		m.exports = append(m.exports, cat(name, 0, m.count))
	}
	m.count++
	return m.count - 1
}

func (m *wasmModule) bytes() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	vec := func(id byte, items [][]byte) {
		if len(items) == 0 {
			return
		}
		body := leb(uint32(len(items)))
		for _, i := range items {
			body = append(body, i...)
		}
		out = append(append(append(out, id), leb(uint32(len(body)))...), body...)
	}
	vec(1, m.types)
	vec(2, m.imports)
	vec(3, m.funcs)
	vec(4, m.tables)
	if m.memory != nil {
		vec(5, [][]byte{m.memory})
	}
	vec(6, m.globals)
	vec(7, m.exports)
	if m.start > 0 {
		out = append(out, 8, 1, byte(m.start-1))
	}
	vec(9, m.elems)
	if len(m.datas) > 0 {
		out = append(out, 12, 1, byte(len(m.datas)))
	}
	vec(10, m.bodies)
	vec(11, m.datas)
	return out
}
