package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/odac-run/odachost/host/internal/instrument"
)

// features are the WebAssembly proposals that guests may use: 2.0, tail calls, extended constant expressions, and of
// threads what one thread can do (see package instrument).
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst |
	experimental.CoreFeaturesThreads

// Config of an [Engine]. The zero value works: compiled code is kept in memory only.
type Config struct {
	// CacheDir keeps compiled code across processes. It is made with mode 0700 if missing, and refused if it belongs to
	// another user or others may write to it, because its files are executed. "" means memory only.
	CacheDir string
	// Interpreter runs guests without compiling them: slow, but on every CPU.
	Interpreter bool
	// CompileWorkers is how many goroutines compile the functions of one module; 0 means 1. With more than one, a fault in
	// the compiler that a hostile module finds ends the process; with one it is a [*CompileError]. Use more where the
	// plugins are your own.
	CompileWorkers int
	// Compiler is the command that compiles modules in a process of its own: a program, and arguments before those for [CompileMain], which it
	// calls. Empty, or without a CacheDir, modules are compiled here.
	Compiler []string

	// reset forces a way to restore memory, for tests.
	reset resetMode
}

// Engine compiles programs and holds what they share. Its methods may be called concurrently.
type Engine struct {
	cfg      Config
	cache    wazero.CompilationCache
	base     time.Time
	compile  keyedLock
	memories memories

	mu       sync.Mutex
	closed   bool
	programs int
}

// New makes an engine. Close it after its programs.
func New(cfg Config) (*Engine, error) {
	e := &Engine{cfg: cfg, base: time.Now()}
	if cfg.CacheDir == "" {
		e.cache = wazero.NewCompilationCache()
	} else {
		if err := secureDir(cfg.CacheDir); err != nil {
			return nil, fmt.Errorf("engine: cache: %w", err)
		}
		cache, err := wazero.NewCompilationCacheWithDir(cfg.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("engine: cache: %w", err)
		}
		e.cache = cache
	}
	e.memories = newMemories(cfg.reset)
	return e, nil
}

// Close frees what the programs shared. It refuses while programs are open.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	if e.programs > 0 {
		return fmt.Errorf("engine: %d programs are still open", e.programs)
	}
	e.closed = true
	return errors.Join(e.memories.close(), e.cache.Close(context.Background()))
}

// apart says whether a module is to be compiled by a process of its own.
func (e *Engine) apart(module rewritten) bool {
	return len(e.cfg.Compiler) > 0 && e.cfg.CacheDir != "" && !e.cfg.Interpreter && !module.kept && len(module.wasm) > smallBytes
}

func (e *Engine) register() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.programs++
	return nil
}

func (e *Engine) unregister() {
	e.mu.Lock()
	e.programs--
	e.mu.Unlock()
}

// now is the time in nanoseconds since the engine was made.
func (e *Engine) now() int64 { return int64(time.Since(e.base)) }

// Inspect returns the functions that a module imports and exports, without compiling it.
func Inspect(wasm []byte) (imports []Import, exports []Export, err error) {
	info, err := instrument.Inspect(wasm, instrument.Limits{})
	if err != nil {
		return nil, nil, compileError(err)
	}
	imports, exports = functions(info)
	return imports, exports, nil
}

func functions(info *instrument.Info) (imports []Import, exports []Export) {
	for _, i := range info.Imports {
		if i.Kind == instrument.KindFunc {
			imports = append(imports, Import{Module: i.Module, Name: i.Name, Params: i.Type.Params, Results: i.Type.Results})
		}
	}
	for _, x := range info.Exports {
		if x.Kind == instrument.KindFunc {
			exports = append(exports, Export{Name: x.Name, Params: x.Type.Params, Results: x.Type.Results})
		}
	}
	return imports, exports
}

func compileError(err error) error {
	var at *instrument.Error
	if errors.As(err, &at) {
		return &CompileError{Offset: int64(at.Offset), Err: errors.New(at.Reason)}
	}
	return &CompileError{Offset: -1, Err: err}
}

// keyedLock serialises work on the same key, which is a module's digest.
type keyedLock struct {
	mu    sync.Mutex
	locks map[[32]byte]*countedLock
}

type countedLock struct {
	held  chan struct{}
	users int
}

func (k *keyedLock) lock(ctx context.Context, key [32]byte) (unlock func(), err error) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[[32]byte]*countedLock{}
	}
	l := k.locks[key]
	if l == nil {
		l = &countedLock{held: make(chan struct{}, 1)}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		if l.users--; l.users == 0 {
			delete(k.locks, key)
		}
		k.mu.Unlock()
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
