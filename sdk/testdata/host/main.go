// Command host runs a guest in wazero as the smallest host of the ABI would, for the tests of package odac: the house keeps wazero
// itself inside host/internal.
//
//	host guest.wasm route params events     e.g. host guest.wasm 0 ann 1000
//
// It prints the last answer's status and body, and the guest's memory after a tenth of the events and after all.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/odac-run/odachost/abi"
)

type host struct {
	input, output, kept []byte
	row, big            []byte
}

func (h *host) serve(_ context.Context, mod api.Module, name string, req []byte) (abi.Errno, []byte) {
	switch name {
	case abi.ModuleCore + " " + abi.FuncInput:
		return abi.ErrnoOK, h.input
	case abi.ModuleCore + " " + abi.FuncOutput:
		h.output = append(h.output[:0], req...)
		return abi.ErrnoOK, nil
	case abi.ModuleCore + " " + abi.FuncTake:
		return abi.ErrnoOK, h.kept
	case abi.ModuleDB + " " + abi.FuncQuery:
		var q abi.Query
		if _, err := q.UnmarshalMsg(req); err != nil {
			return abi.ErrnoInvalid, []byte(err.Error())
		}
		if q.Table == "big" {
			return abi.ErrnoOK, h.big
		}
		return abi.ErrnoOK, h.row
	}
	return abi.ErrnoUnsupported, []byte(name)
}

func (h *host) function(name string) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		req, _ := mod.Memory().Read(uint32(stack[0]), uint32(stack[1]))
		errno, answer := h.serve(ctx, mod, name, req)
		if len(answer) > int(uint32(stack[3])) {
			h.kept = answer
		} else {
			mod.Memory().Write(uint32(stack[2]), answer)
		}
		stack[0] = abi.Pack(errno, len(answer))
	}
}

func main() {
	log.SetFlags(0)
	wasm, err := os.ReadFile(os.Args[1])
	check(err)
	route, err := strconv.Atoi(os.Args[2])
	check(err)
	events, err := strconv.Atoi(os.Args[4])
	check(err)

	ctx := context.Background()
	cache, err := wazero.NewCompilationCacheWithDir(os.TempDir() + "/odac-sdk-test-cache")
	check(err)
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(cache))
	defer func() { check(rt.Close(ctx)) }()
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	compiled, err := rt.CompileModule(ctx, wasm)
	check(err)
	h := &host{
		row: message(&abi.Result{Columns: []string{"id", "title", "views"}, Rows: []abi.Values{{abi.Text("7"), abi.Text("a title"), abi.Int(3)}}}),
		big: message(&abi.Result{Columns: []string{"title"}, Rows: []abi.Values{{abi.Text(strings.Repeat("x", 100_000))}}}),
	}
	builders := map[string]wazero.HostModuleBuilder{}
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		if !strings.HasPrefix(module, "odac:") {
			continue
		}
		if builders[module] == nil {
			builders[module] = rt.NewHostModuleBuilder(module)
		}
		i32 := api.ValueTypeI32
		builders[module].NewFunctionBuilder().WithGoModuleFunction(h.function(module+" "+name), []api.ValueType{i32, i32, i32, i32}, []api.ValueType{api.ValueTypeI64}).Export(name)
	}
	for _, b := range builders {
		_, err := b.Instantiate(ctx)
		check(err)
	}
	cfg := wazero.NewModuleConfig().WithStartFunctions("_initialize").WithStderr(os.Stderr).WithSysWalltime().WithSysNanotime().WithRandSource(random{}).WithEnv("GOGC", os.Getenv("GUEST_GOGC"))
	mod, err := rt.InstantiateModule(ctx, compiled, cfg)
	check(err)

	h.input = message(&abi.Hello{ABI: abi.Version, Plugin: "guest"})
	res, err := mod.ExportedFunction(abi.ExportRegister).Call(ctx, uint64(len(h.input)))
	check(err)
	if res[0] != 0 {
		log.Fatalf("register: errno %d: %s", res[0], h.output)
	}

	h.input = message(&abi.HTTPRequest{
		Route: uint32(route), Method: "GET", Path: "/x", Params: []string{os.Args[3]}, Host: "127.0.0.1:8080", Scheme: "http", Remote: "127.0.0.1", ID: "r1",
		Header: []string{"Accept", "text/html,application/xhtml+xml", "User-Agent", "a test of package odac", "Accept-Encoding", "gzip", "Connection", "keep-alive"},
	})
	event := mod.ExportedFunction(abi.ExportEvent)
	stack := make([]uint64, 2)
	warm := uint32(0)
	start := time.Now()
	for i := range events {
		stack[0], stack[1] = uint64(abi.EventHTTP), uint64(len(h.input))
		check(event.CallWithStack(ctx, stack))
		if stack[0] != 0 {
			log.Fatalf("event: errno %d: %s", stack[0], h.output)
		}
		if i == events/10 {
			warm = mod.Memory().Size()
		}
	}
	took := time.Since(start)
	var reply abi.HTTPResponse
	_, err = reply.UnmarshalMsg(h.output)
	check(err)
	fmt.Printf("status %d\nbody %s\nmemory %d %d\nns %d\n", reply.Status, reply.Body, warm, mod.Memory().Size(), took.Nanoseconds()/int64(max(events, 1)))
}

// random repeats, so that a guest's start is the same each time; what an event draws must not be.
type random struct{}

var drawn byte

func (random) Read(b []byte) (int, error) {
	for i := range b {
		drawn += 37
		b[i] = drawn
	}
	return len(b), nil
}

func message(m interface{ MarshalMsg([]byte) ([]byte, error) }) []byte {
	b, err := m.MarshalMsg(nil)
	check(err)
	return b
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
