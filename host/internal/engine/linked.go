package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// Linked is a module of which each instance has a copy of its own. The program's module, and the linked ones after it, import
// its functions under its name. It may import what the program's module may, and from the linked ones before it. One
// that nobody imports is left out.
//
// A linked module is as untrusted as the program's: it is instrumented, initialised, kept in the image and restored with it.
// Host functions that it calls see its memory, not the program's.
type Linked struct {
	Name string
	Wasm []byte
	// MaxMemoryBytes is the most linear memory of a copy; 0 means [LoadConfig.MaxMemoryBytes].
	MaxMemoryBytes int64
	// Reset, if set, says that what a copy holds lasts no longer than a call: it is called after each call and at
	// [Instance.Reset], and there is no image. It must undo everything that a guest can do to the copy by its exports, and its
	// module must be one that changes neither tables nor segments.
	Reset func(c *Copy)
}

// Copy is an instance's own copy of a [Linked] module. It belongs to whom the instance belongs: the call that runs, or the
// engine.
type Copy struct {
	sandbox
	of *linkedModule
}

// Memory returns the copy's linear memory, all of it. It is valid until the guest runs again, or [Copy.Grow].
func (c *Copy) Memory() []byte { return c.bytes() }

// Grow makes the memory at least n bytes long; false if that is over its limit.
func (c *Copy) Grow(n int64) bool {
	if c.linear == nil {
		return false
	}
	more := n - int64(c.linear.Size())
	if more <= 0 {
		return true
	}
	_, ok := c.linear.Grow(uint32((more + pageBytes - 1) / pageBytes))
	return ok
}

// Zero clears the first n bytes of the memory. Where they are many, they go back to the system.
func (c *Copy) Zero(n int) {
	p := c.bytes()
	p = p[:min(n, len(p))]
	if len(p) < zeroFrom || !c.memory.zero(p) {
		clear(p)
	}
}

// zeroFrom is from how many bytes on it is cheaper to drop pages than to clear them, and leaves less behind.
const zeroFrom = 512 << 10

// Global returns the i-th of the module's own mutable globals of a number type.
func (c *Copy) Global(i int) uint64 { return c.globals[i].Get() }

// SetGlobal changes it.
func (c *Copy) SetGlobal(i int, v uint64) { c.globals[i].Set(v) }

// linkedModule is a linked module of a program.
type linkedModule struct {
	Linked
	info     *instrument.Info
	code     wazero.CompiledModule
	maxBytes int64
	image    image
	globals  []uint64
}

// sandbox is one module of an instance, with what can change in it.
type sandbox struct {
	module api.Module
	// linear is wazero's view of the memory, nil if the module has none.
	linear  api.Memory
	memory  memory
	globals []api.MutableGlobal
	marks   api.MutableGlobal
}

// bytes is the linear memory, nil if there is none.
func (s *sandbox) bytes() []byte {
	m := s.linear
	if m == nil {
		return nil
	}
	b, _ := m.Read(0, m.Size())
	return b
}

func (s *sandbox) saveGlobals() []uint64 {
	values := make([]uint64, len(s.globals))
	for i, g := range s.globals {
		values[i] = g.Get()
	}
	return values
}

func (s *sandbox) restoreGlobals(values []uint64) {
	for i, g := range s.globals {
		g.Set(values[i])
	}
}

// takeMarks clears the marks and returns them.
func (s *sandbox) takeMarks() uint64 {
	marks := s.marks.Get()
	if marks != 0 {
		s.marks.Set(0)
	}
	return marks
}

// adoptImage brings a sandbox that ran nothing to an image.
func (s *sandbox) adoptImage(image image, globals []uint64) error {
	if m := s.linear; m != nil {
		grow := (len(image.bytes()) - int(m.Size())) / pageBytes
		if err := s.memory.adopt(image); err != nil {
			return fmt.Errorf("engine: image: %w", err)
		}
		if _, ok := m.Grow(uint32(grow)); !ok {
			return fmt.Errorf("engine: image: memory cannot grow to the image's size")
		}
		if err := s.memory.adopted(image, s.bytes()); err != nil {
			return fmt.Errorf("engine: image: %w", err)
		}
	}
	s.restoreGlobals(globals)
	return nil
}

// restoreImage puts the image in place of what a call left.
func (s *sandbox) restoreImage(image image, globals []uint64) error {
	contents := s.bytes()
	if len(contents) != len(image.bytes()) {
		return fmt.Errorf("memory grew from %d to %d bytes", len(image.bytes()), len(contents))
	}
	if err := s.memory.reset(image, contents); err != nil {
		return err
	}
	s.restoreGlobals(globals)
	return nil
}

// free closes the module and gives its memory back.
func (s *sandbox) free() error {
	err := s.module.Close(context.Background())
	s.memory.Free()
	return err
}

// newSandbox instantiates a module of the program. copies are what it may import from besides host modules.
func (p *Program) newSandbox(code wazero.CompiledModule, info *instrument.Info, maxBytes int64, copies []*Copy) (s sandbox, err error) {
	if s.memory, err = p.engine.memories.make(maxBytes); err != nil {
		return s, fmt.Errorf("engine: memory of an instance: %w", err)
	}
	ctx := context.Background()
	if a := s.memory.allocator(); a != nil {
		ctx = experimental.WithMemoryAllocator(ctx, a)
	}
	if len(copies) > 0 {
		ctx = experimental.WithImportResolver(ctx, func(name string) api.Module {
			for _, c := range copies {
				if c.of.Name == name {
					return c.module
				}
			}
			return nil
		})
	}
	if s.module, err = p.runtime.InstantiateModule(ctx, code, p.withFiles(p.moduleConfig())); err != nil {
		s.memory.Free()
		return s, &TrapError{Reason: "instantiation: " + err.Error()}
	}
	if info.HasMemory {
		s.linear = s.module.Memory()
	}
	s.globals = make([]api.MutableGlobal, 0, len(info.Globals))
	for _, name := range info.Globals {
		s.globals = append(s.globals, s.module.ExportedGlobal(name).(api.MutableGlobal))
	}
	s.marks = s.module.ExportedGlobal(instrument.StateExport).(api.MutableGlobal)
	return s, nil
}

// prepareLinked instruments the linked modules that are imported, and returns their code beside them.
func (p *Program) prepareLinked() (code []rewritten, err error) {
	var all []*linkedModule
	var modules []rewritten
	for _, l := range p.cfg.Linked {
		if slices.ContainsFunc(all, func(o *linkedModule) bool { return o.Name == l.Name }) || l.Name == wasiModule ||
			slices.ContainsFunc(p.cfg.Modules, func(m Module) bool { return m.Name == l.Name }) {
			return nil, fmt.Errorf("engine: there are two modules of the name %s", l.Name)
		}
		m := &linkedModule{Linked: l, maxBytes: l.MaxMemoryBytes}
		if m.maxBytes <= 0 {
			m.maxBytes = int64(p.maxPages) * pageBytes
		}
		out, err := p.engine.rewrite(&p.cfg, l.Wasm)
		if err != nil {
			return nil, fmt.Errorf("engine: linked module %s: %w", l.Name, compileError(err))
		}
		if int64(out.info.MemoryPages)*pageBytes > m.maxBytes {
			return nil, fmt.Errorf("%w: linked module %s begins with %d bytes of memory, %d are allowed", ErrMemoryLimit, l.Name,
				int64(out.info.MemoryPages)*pageBytes, m.maxBytes)
		}
		m.info, m.Wasm = out.info, nil
		all, modules = append(all, m), append(modules, out)
	}
	wanted := map[string]bool{}
	want := func(imports []instrument.Import) {
		for _, i := range imports {
			wanted[i.Module] = true
		}
	}
	want(p.info.Imports)
	for i, m := range slices.Backward(all) {
		if wanted[m.Name] {
			want(m.info.Imports)
			p.linked, code = append(p.linked, m), append(code, modules[i])
		}
	}
	slices.Reverse(p.linked)
	slices.Reverse(code)
	return code, nil
}

// takeImages takes the images of an initialised instance's modules.
func (p *Program) takeImages(in *Instance) (err error) {
	for _, c := range in.linked {
		if c.of.Reset != nil {
			continue
		}
		if c.of.image, err = p.engine.memories.take(c.memory, c.bytes()); err != nil {
			return err
		}
		c.of.globals = c.saveGlobals()
		c.of.info.Data = nil
	}
	if p.image, err = p.engine.memories.take(in.memory, in.bytes()); err != nil {
		return err
	}
	p.imageGlobals = in.saveGlobals()
	p.info.Data = nil
	return nil
}

// startModule does for one module what is done once: its data, its start function, and what toolchains export to be called
// before anything else: the reactor's _initialize, the constructors of a command, Haskell's runtime.
func (in *Instance) startModule(ctx context.Context, s *sandbox, info *instrument.Info) error {
	if err := in.hold(func() error { return s.writeData(info) }); err != nil {
		return err
	}
	if info.Start {
		if err := in.startCall(ctx, s, instrument.StartExport); err != nil {
			return fmt.Errorf("start function: %w", err)
		}
	}
	exports := map[string]instrument.FuncType{}
	for _, x := range info.Exports {
		if x.Kind == instrument.KindFunc {
			exports[x.Name] = x.Type
		}
	}
	plain := func(name string) bool {
		t, ok := exports[name]
		return ok && len(t.Params)+len(t.Results) == 0
	}
	for _, name := range []string{"_initialize", "__wasm_call_ctors"} {
		if plain(name) {
			if err := in.startCall(ctx, s, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			break
		}
	}
	if t, ok := exports["hs_init"]; ok && string(t.Params) == string([]byte{I32, I32}) {
		if err := in.startCall(ctx, s, "hs_init", 0, 0); err != nil {
			return fmt.Errorf("hs_init: %w", err)
		}
	}
	return nil
}

// startCall is Call of a function of any of the instance's modules.
func (in *Instance) startCall(ctx context.Context, s *sandbox, name string, args ...uint64) error {
	f := &function{Function: s.module.ExportedFunction(name), stack: make([]uint64, 2)}
	f.native = stackOf(f.Function)
	_, err := in.run(ctx, nil, time.Time{}, f, name, args)
	return err
}
