package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/odac-run/odachost/host/internal/instrument"
)

const (
	pageBytes          = 65536
	defaultMemoryBytes = 64 << 20
	defaultInitTimeout = 10 * time.Second
)

// Load makes a program of a module's bytes, which it does not keep. Loading the same bytes again, also at the same time,
// compiles them once. The context cancels waiting and initialisation.
func (e *Engine) Load(ctx context.Context, wasm []byte, cfg LoadConfig) (*Program, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("engine: load: %w", err)
	}
	pages, err := memoryPages(cfg.MaxMemoryBytes)
	if err != nil {
		return nil, err
	}
	out, err := e.rewrite(&cfg, wasm)
	if err != nil {
		return nil, compileError(err)
	}
	info := out.info
	if info.MemoryPages > pages {
		return nil, fmt.Errorf("%w: the module begins with %d bytes of memory, %d are allowed", ErrMemoryLimit,
			int64(info.MemoryPages)*pageBytes, int64(pages)*pageBytes)
	}
	p := &Program{engine: e, cfg: cfg, info: info, maxPages: pages, instances: map[*Instance]struct{}{}}
	p.imports, p.exports = functions(info)
	p.byName = make(map[string]Export, len(p.exports))
	for _, x := range p.exports {
		p.byName[x.Name] = x
	}
	if err := e.register(); err != nil {
		return nil, err
	}
	linked, err := p.prepareLinked()
	if err == nil {
		err = p.load(ctx, out, linked)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func memoryPages(bytes int64) (uint32, error) {
	switch {
	case bytes == 0:
		bytes = defaultMemoryBytes
	case bytes < pageBytes:
		return 0, fmt.Errorf("engine: MaxMemoryBytes is %d, less than a page of %d", bytes, pageBytes)
	}
	return uint32(min(bytes/pageBytes, 65536)), nil
}

// load compiles and links the instrumented module, initialises it, and takes the image.
func (p *Program) load(ctx context.Context, module rewritten, linked []rewritten) (err error) {
	p.runtime = wazero.NewRuntimeWithConfig(context.Background(), p.engine.runtimeConfig(p.maxPages))
	if err := p.link(); err != nil {
		return err
	}
	if err := p.linkable(); err != nil {
		return err
	}
	for i, l := range p.linked {
		if l.code, err = p.compile(ctx, linked[i]); err != nil {
			return fmt.Errorf("engine: linked module %s: %w", l.Name, err)
		}
	}
	if p.code, err = p.compile(ctx, module); err != nil {
		return err
	}
	return p.initialise(ctx)
}

// runtimeConfig is what the code depends on.
func (e *Engine) runtimeConfig(maxPages uint32) wazero.RuntimeConfig {
	config := wazero.NewRuntimeConfig()
	if e.cfg.Interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	return config.WithCompilationCache(e.cache).WithCoreFeatures(features).WithMemoryLimitPages(maxPages).WithDebugInfoEnabled(false)
}

// compile makes code of a module, or takes it from the cache; of several loads of the same bytes one makes it.
func (p *Program) compile(ctx context.Context, module rewritten) (code wazero.CompiledModule, err error) {
	unlock, err := p.engine.compile.lock(ctx, sha256.Sum256(module.wasm))
	if err != nil {
		return nil, fmt.Errorf("engine: waiting for another load of the same module: %w", err)
	}
	defer unlock()
	// A fault in the compiler is one module's misfortune.
	defer func() {
		if r := recover(); r != nil {
			err = &CompileError{Offset: -1, Err: fmt.Errorf("the compiler failed: %v", r)}
		}
	}()
	if p.engine.apart(module) {
		if err := p.engine.compileApart(ctx, module.wasm, p.maxPages); err != nil {
			return nil, err
		}
	}
	workers := experimental.WithCompilationWorkers(context.Background(), p.engine.cfg.CompileWorkers)
	if code, err = p.runtime.CompileModule(workers, module.wasm); err != nil {
		return nil, compileError(err)
	}
	module.keep()
	return code, nil
}

// initialise runs what the module runs once, then the warm-up, and takes the image of the result.
func (p *Program) initialise(ctx context.Context) error {
	in, err := p.initialised(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // the image is taken: nobody needs it
	if in.dirty {
		// Tables or segments are not as instantiation leaves them, and cannot be copied: each instance starts from zero.
		p.keepData()
		return nil
	}
	if err := p.takeImages(in); err != nil {
		return fmt.Errorf("engine: image: %w", err)
	}
	return nil
}

// keepData makes the data segments independent of the module's bytes.
func (p *Program) keepData() {
	infos := []*instrument.Info{p.info}
	for _, l := range p.linked {
		infos = append(infos, l.info)
	}
	for _, info := range infos {
		for i, s := range info.Data {
			info.Data[i].Bytes = slices.Clone(s.Bytes)
		}
	}
}

// writeData does what instantiation would have done with the data segments that were taken out of the module.
func (s *sandbox) writeData(info *instrument.Info) error {
	memory := s.bytes()
	for i, s := range info.Data {
		if uint64(s.Offset)+uint64(len(s.Bytes)) > uint64(len(memory)) {
			return &TrapError{Reason: fmt.Sprintf("instantiation: data segment %d: out of bounds memory access", i)}
		}
		copy(memory[s.Offset:], s.Bytes)
	}
	return nil
}

// initialised returns an instance after its start function, _initialize and warm-up.
func (p *Program) initialised(ctx context.Context) (*Instance, error) {
	timeout := p.cfg.InitTimeout
	if timeout <= 0 {
		timeout = defaultInitTimeout
	}
	in, err := p.instantiate()
	if err != nil {
		return nil, err
	}
	in.latest = p.engine.now() + int64(timeout)
	start := func() error {
		for _, c := range in.linked {
			if err := in.startModule(ctx, &c.sandbox, c.of.info); err != nil {
				return fmt.Errorf("linked module %s: %w", c.of.Name, err)
			}
		}
		if err := in.startModule(ctx, &in.sandbox, p.info); err != nil {
			return err
		}
		if p.cfg.Warm != nil {
			return p.cfg.Warm(ctx, in)
		}
		return nil
	}
	if err := start(); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if in.state.Load() != ready {
		return nil, errors.Join(fmt.Errorf("warm-up left a failed call: %w", ErrUnusable), in.Close())
	}
	in.latest = 0
	return in, nil
}

// moduleConfig is how every instance of the program is made.
func (p *Program) moduleConfig() wazero.ModuleConfig {
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithSysWalltime().WithSysNanotime()
	for k, v := range p.cfg.Env {
		config = config.WithEnv(k, v)
	}
	return config
}
