package main

import (
	"context"
	"errors"
	"fmt"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/odac-run/odachost/abi"
)

// runtimeConfig is wazero's, with a folder for compiled code if one is named.
func runtimeConfig(dir string) (wazero.RuntimeConfig, wazero.CompilationCache, error) {
	cfg := wazero.NewRuntimeConfig()
	if dir == "" {
		return cfg, nil, nil
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, nil, err
	}
	return cfg.WithCompilationCache(cache), cache, nil
}

// extismPeer runs the module on the Extism Go SDK.
type extismPeer struct {
	compiled *extism.CompiledPlugin
	instance *extism.Plugin
	cache    wazero.CompilationCache
}

func newExtism(ctx context.Context, wasm []byte, dir string) (*extismPeer, error) {
	cfg, cache, err := runtimeConfig(dir)
	if err != nil {
		return nil, err
	}
	p := &extismPeer{cache: cache}
	i32, i64 := extism.ValueTypeI32, extism.ValueTypeI64
	var functions []extism.HostFunction
	for _, name := range []string{abi.FuncInput, abi.FuncOutput, abi.FuncTake} { // linked, and never called by its export echo
		f := extism.NewHostFunctionWithStack(name, func(_ context.Context, _ *extism.CurrentPlugin, stack []uint64) { stack[0] = 0 },
			[]extism.ValueType{i32, i32, i32, i32}, []extism.ValueType{i64})
		f.SetNamespace(abi.ModuleCore)
		functions = append(functions, f)
	}
	p.compiled, err = extism.NewCompiledPlugin(ctx, extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}},
		extism.PluginConfig{EnableWasi: true, RuntimeConfig: cfg}, functions)
	if err == nil {
		p.instance, err = p.compiled.Instance(ctx, extism.PluginInstanceConfig{})
	}
	if err == nil {
		err = p.warm(ctx, []byte("once"))()
	}
	if err != nil {
		p.close(ctx)
		return nil, fmt.Errorf("extism: %w", err)
	}
	return p, nil
}

func (p *extismPeer) fresh(ctx context.Context, body []byte) caller {
	return func() error {
		in, err := p.compiled.Instance(ctx, extism.PluginInstanceConfig{})
		if err != nil {
			return err
		}
		_, out, err := in.CallWithContext(ctx, "echo", body)
		return errors.Join(same(out, body, err), in.CloseWithContext(ctx))
	}
}

func (p *extismPeer) warm(ctx context.Context, body []byte) caller {
	return func() error {
		_, out, err := p.instance.CallWithContext(ctx, "echo", body)
		return same(out, body, err)
	}
}

func (p *extismPeer) close(ctx context.Context) {
	if p.instance != nil {
		_ = p.instance.CloseWithContext(ctx)
	}
	if p.compiled != nil {
		_ = p.compiled.Close(ctx)
	}
	if p.cache != nil {
		_ = p.cache.Close(ctx)
	}
}

// barePeer runs the module on wazero with the few host functions that it needs, nothing checked, nothing bounded.
type barePeer struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	cache    wazero.CompilationCache
	instance api.Module

	input, output, kept []byte
}

func newBare(ctx context.Context, wasm []byte, dir string) (*barePeer, error) {
	cfg, cache, err := runtimeConfig(dir)
	if err != nil {
		return nil, err
	}
	p := &barePeer{cache: cache, runtime: wazero.NewRuntimeWithConfig(ctx, cfg)}
	if err := p.load(ctx, wasm); err != nil {
		p.close(ctx)
		return nil, fmt.Errorf("wazero: %w", err)
	}
	return p, nil
}

func (p *barePeer) load(ctx context.Context, wasm []byte) (err error) {
	if p.compiled, err = p.runtime.CompileModule(ctx, wasm); err != nil {
		return err
	}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return err
	}
	modules := map[string]wazero.HostModuleBuilder{}
	for _, f := range p.compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if module == wasi_snapshot_preview1.ModuleName {
			continue
		}
		if modules[module] == nil {
			modules[module] = p.runtime.NewHostModuleBuilder(module)
		}
		call := func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = 0 }
		if module == abi.ModuleCore {
			call = p.core(name)
		}
		modules[module].NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(call), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for _, m := range modules {
		if _, err := m.Instantiate(ctx); err != nil {
			return err
		}
	}
	p.instance, err = p.start(ctx)
	return err
}

// core is a function of odac:core/v1: (req, req_len, resp, resp_cap).
func (p *barePeer) core(name string) func(context.Context, api.Module, []uint64) {
	answer := func(m api.Module, stack []uint64, text []byte) {
		if uint32(len(text)) > uint32(stack[3]) {
			p.kept = text
		} else {
			m.Memory().Write(uint32(stack[2]), text)
		}
		stack[0] = abi.Pack(abi.ErrnoOK, len(text))
	}
	return func(_ context.Context, m api.Module, stack []uint64) {
		switch name {
		case abi.FuncInput:
			answer(m, stack, p.input)
		case abi.FuncTake:
			answer(m, stack, p.kept)
		default:
			req, _ := m.Memory().Read(uint32(stack[0]), uint32(stack[1]))
			p.output = append(p.output[:0], req...)
			stack[0] = 0
		}
	}
}

// start makes an instance that has registered.
func (p *barePeer) start(ctx context.Context) (api.Module, error) {
	m, err := p.runtime.InstantiateModule(ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime())
	if err != nil {
		return nil, err
	}
	hello := abi.Hello{ABI: abi.Version, Host: "bench", Plugin: "echo", Version: "1.0.0", Tenant: "default", Mount: "/echo"}
	if p.input, err = hello.MarshalMsg(p.input[:0]); err != nil {
		return nil, err
	}
	return m, answered(m.ExportedFunction(abi.ExportRegister).Call(ctx, uint64(len(p.input))))
}

func answered(results []uint64, err error) error {
	if err == nil && uint32(results[0]) != 0 {
		err = fmt.Errorf("answered errno %d", results[0])
	}
	return err
}

func (p *barePeer) call(ctx context.Context, m api.Module, body []byte) error {
	event := abi.CallEvent{Name: "echo", Body: body}
	var err error
	if p.input, err = event.MarshalMsg(p.input[:0]); err != nil {
		return err
	}
	if err := answered(m.ExportedFunction(abi.ExportEvent).Call(ctx, uint64(abi.EventCall), uint64(len(p.input)))); err != nil {
		return err
	}
	var reply abi.CallReply
	_, err = reply.UnmarshalMsg(p.output)
	return same(reply.Body, body, err)
}

func (p *barePeer) fresh(ctx context.Context, body []byte) caller {
	return func() error {
		m, err := p.start(ctx)
		if err != nil {
			return err
		}
		return errors.Join(p.call(ctx, m, body), m.Close(ctx))
	}
}

func (p *barePeer) warm(ctx context.Context, body []byte) caller {
	return func() error { return p.call(ctx, p.instance, body) }
}

func (p *barePeer) close(ctx context.Context) {
	_ = p.runtime.Close(ctx)
	if p.cache != nil {
		_ = p.cache.Close(ctx)
	}
}
