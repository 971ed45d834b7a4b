package host

import (
	"fmt"
	"slices"

	"github.com/odac-run/odachost/abi"
	"github.com/odac-run/odachost/host/internal/engine"
	"github.com/odac-run/odachost/plugins"
)

// Check says what is amiss with a bundle, as far as its bytes tell, a line for each thing: exports that are missing, host
// modules that it imports and has no capability for, and capabilities that it asks for and does not import. Nothing of it
// runs. The error means that it is no WebAssembly at all.
func Check(b *plugins.Bundle) ([]string, error) {
	imports, exports, err := engine.Inspect(b.Wasm())
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	var amiss []string
	m := b.Manifest()
	grants := m.Grants()
	var used []string
	for _, i := range imports {
		if slices.Contains(used, i.Module) {
			continue
		}
		used = append(used, i.Module)
		if i.Module == abi.ModuleExtism || i.Module == engine.WASI || m.Extism != nil && i.Module == abi.ModuleExtismUser {
			continue
		}
		if err := grants.Module(i.Module); err != nil {
			amiss = append(amiss, err.Error())
		}
	}
	for _, module := range grants.Modules() {
		if module != abi.ModuleCore && m.Extism == nil && !slices.Contains(used, module) {
			amiss = append(amiss, fmt.Sprintf("plugin.yaml asks for the capability of %s, and the module never uses it: take it out, so that nobody has to approve it", module))
		}
	}
	exported := func(name string) bool {
		return slices.ContainsFunc(exports, func(x engine.Export) bool { return x.Name == name })
	}
	if m.Extism != nil {
		for _, rt := range m.Extism.Routes {
			if !exported(rt.Export) {
				amiss = append(amiss, fmt.Sprintf("route %s of plugin.yaml calls the export %s, which the module does not have", rt.Path, rt.Export))
			}
		}
		return amiss, nil
	}
	for _, name := range []string{abi.ExportRegister, abi.ExportEvent} {
		if !exported(name) {
			amiss = append(amiss, fmt.Sprintf("the module has no export %s: build it with the SDK (-buildmode=c-shared for Go)", name))
		}
	}
	return amiss, nil
}
